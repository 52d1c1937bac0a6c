import type { AccessPicture, Change, LinkAccess, LinkChange, LinkRef, VaultHealth } from '../domain/access.ts';

/** What can be read of what is known of access at a vault. */
export interface AccessSurvey extends Pick<AccessPicture, 'links'> {
  /** Undefined where it cannot be read. */
  readonly health: VaultHealth | undefined;
  /** So many rows cannot be read: of a link each, or of the vault itself. */
  readonly unreadable: number;
}

/**
 * Denials, proofs and outages: durable, one partition a vault. Methods reject with `StoreAway` and nothing else.
 * Changes are compare-and-set loops round a pure `decide`; events are stored in the same write and published from there.
 */
export interface AccessLog {
  /**
   * Everything of one vault in one small read; never cached. Rejects with `Unreadable` where any of it cannot be read: what is missing may
   * be a denial, and failover rests on there being none (F3).
   */
  read(vault: string): Promise<AccessPicture>;
  /** What can be read of a vault: to be shown, never to decide by. What cannot is told to the log once. */
  survey(vault: string): Promise<AccessSurvey>;
  /**
   * `decide` sees undefined where nothing is stored of the link; its `next: null` removes the row, and where there is none does nothing.
   * Resolves when the change is durable, with what is stored.
   */
  changeLink(ref: LinkRef, decide: (stored: LinkAccess | undefined) => LinkChange): Promise<LinkAccess | undefined>;
  changeVault(vault: string, decide: (stored: VaultHealth) => Change<VaultHealth>): Promise<VaultHealth>;
}
