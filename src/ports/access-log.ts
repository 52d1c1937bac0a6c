import type { AccessPicture, Change, LinkAccess, LinkChange, LinkRef, VaultHealth } from '../domain/access.ts';

/**
 * Denials, proofs and outages: durable, one partition a vault. Methods reject with `StoreAway` and nothing else.
 * Changes are compare-and-set loops round a pure `decide`; events are stored in the same write and published from there.
 */
export interface AccessLog {
  /** Everything of one vault in one small read; never cached. */
  read(vault: string): Promise<AccessPicture>;
  /**
   * `decide` sees undefined where nothing is stored of the link; its `next: null` removes the row, and where there is none does nothing.
   * Resolves when the change is durable, with what is stored.
   */
  changeLink(ref: LinkRef, decide: (stored: LinkAccess | undefined) => LinkChange): Promise<LinkAccess | undefined>;
  changeVault(vault: string, decide: (stored: VaultHealth) => Change<VaultHealth>): Promise<VaultHealth>;
}
