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
  /** Unique for one change of the server. */
  readonly id: string;
}

/**
 * The association budget's ledger (B1), one partition a vault: what each server has there, and the sum.
 *
 * Of each server it keeps what was settled (its databases at a revision) and the claims of changes under way. The server counts, tier by
 * tier, with the largest of them; so between any two steps of a change, and whoever changes the same server beside it, the ledger covers
 * what is registered. Counts are absolute (all databases of the server): doing anything twice changes nothing. A claim whose instance was
 * killed lapses after a minute, longer than any request lives. Rejects with `StoreAway`.
 */
export interface AssociationLedger {
  /**
   * Adds a claim, if `fits` says yes to the vault's new sum; it is asked only where the sum would grow.
   * @returns the sum afterwards, or the sum without any change where it did not fit.
   */
  reserve(
    claim: Claim,
    counts: DatabaseCounts,
    fits: (sum: DatabaseCounts) => boolean,
  ): Promise<{ readonly fitted: boolean; readonly sum: DatabaseCounts }>;

  /** Ends a claim, if it is there, and sets what is settled unless a later revision was settled meanwhile. Zero counts remove the server. */
  settle(claim: Claim, counts: DatabaseCounts, revision: number): Promise<void>;

  /** Ends a claim without a change. */
  abandon(claim: Claim): Promise<void>;

  /** Claims of a vault that are older than a minute, longer than any request lives: those of killed instances. */
  stale(vault: string): Promise<readonly Claim[]>;

  /** The vault's sum. */
  read(vault: string): Promise<Association>;
}
