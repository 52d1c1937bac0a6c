import type { DatabaseCounts } from '../domain/server.ts';

/** What a vault's databases add up to: of the servers whose protector or standby lies there. */
export interface Association {
  readonly vault: string;
  readonly counts: DatabaseCounts;
}

/**
 * The association budget's ledger (B1), one partition a vault: what each server has reserved there, and the sum.
 * Reserved first, registered afterwards, released last: between any two steps the reservation covers what is registered.
 * A reservation is absolute (all databases of the server), so that doing it twice changes nothing. Rejects with `StoreAway`.
 */
export interface AssociationLedger {
  /**
   * Raises the server's reservation at the vault to at least `counts`, if `fits` says yes to the vault's new sum.
   * @param revision that the server will have once it is stored; a later `settle` below it does nothing.
   * @returns the sum afterwards, or the sum without any change where it did not fit.
   */
  reserve(claim: { vault: string; server: string; counts: DatabaseCounts; revision: number }, fits: (sum: DatabaseCounts) => boolean): Promise<{ readonly fitted: boolean; readonly sum: DatabaseCounts }>;

  /** Sets the server's reservation to what is registered at `revision`; nothing happens if a later revision has reserved meanwhile. Zero counts remove it. */
  settle(claim: { vault: string; server: string; counts: DatabaseCounts; revision: number }): Promise<void>;

  /** The vault's sum. */
  read(vault: string): Promise<Association>;
}
