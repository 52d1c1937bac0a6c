import type { DatabaseCounts } from '../domain/server.ts';

/** What a vault's databases add up to: of the servers whose protector or standby lies there. */
export interface Association {
  readonly vault: string;
  readonly counts: DatabaseCounts;
}

/** A server's place in a vault's ledger, and the change that is under way there. */
export interface Claim {
  readonly vault: string;
  readonly server: string;
  /** Which registration of the server (`RegisteredServer`): each has an account of its own, so that none touches what another holds. */
  readonly incarnation: string;
  /** Unique for one change of the server. */
  readonly id: string;
}

/**
 * The association budget's ledger (B1), one partition a vault: what each incarnation of a server has there, and the sum.
 *
 * Of each it keeps what was settled (its databases at a revision) and the claims of changes under way. It counts with the heaviest of
 * these, in points; so between any two steps of a change, and whoever changes the same server beside it, the ledger covers what is
 * registered. Counts are absolute (all databases of the server), and a claim ends once: doing anything twice changes nothing. A claim
 * whose instance was killed is stale after a minute. Rejects with `StoreAway`.
 */
export interface AssociationLedger {
  /**
   * Adds a claim, if `fits` says yes to the vault's new sum; it is asked only where the sum would grow in points.
   * @returns the sum afterwards, or the sum without any change where it did not fit.
   */
  reserve(
    claim: Claim,
    counts: DatabaseCounts,
    fits: (sum: DatabaseCounts) => boolean,
  ): Promise<{ readonly fitted: boolean; readonly sum: DatabaseCounts }>;

  /**
   * Ends a claim and sets what is settled, unless a later revision was settled meanwhile. Nothing happens where the claim has ended: who
   * ended it knew what is registered. With the last claim goes an account that counts nothing.
   */
  settle(claim: Claim, counts: DatabaseCounts, revision: number): Promise<void>;

  /** Ends a claim without a change. */
  abandon(claim: Claim): Promise<void>;

  /**
   * Claims of a vault that are older than a minute: those of killed instances, or of one that is very slow. An account that cannot be read keeps
   * no other from being looked at, and is told to the log once.
   */
  stale(vault: string): Promise<readonly Claim[]>;

  /** The vault's sum. */
  read(vault: string): Promise<Association>;
}
