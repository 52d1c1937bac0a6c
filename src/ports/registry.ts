import type { BrokerEvent } from '../domain/event.ts';
import type { RegisteredServer, Server } from '../domain/server.ts';
import type { Vault } from '../domain/vault.ts';

/** What one change of a server stores, in one transaction with its events. `next` null removes the server with all that belongs to it. */
export interface ServerChange {
  readonly next: RegisteredServer | null;
  readonly events: readonly BrokerEvent[];
}

/** What a vault is found by. */
export type VaultAddress = { readonly name: string } | { readonly uri: string };

/** Where a server stood when its standing was stored last; its clock runs on without a write (A5). */
export type ServerStanding = Pick<Server, 'name' | 'state' | 'since' | 'clock'>;

/**
 * Vaults, servers, links and databases. Methods reject with `StoreAway` and nothing else, `peek*` with nothing at all.
 * A server that cannot be read (`Unreadable`) is in no copy, keeps no other from being read, and is told to the log once.
 * Any number of instances write at once; every write is conditional on what its decision read.
 */
export interface Registry {
  /**
   * From the copy, refreshed in the background: at most 5 s old while the store answers, the last one known while it does not.
   * `undefined`: not in the copy, which does not mean unknown: read.
   */
  peekServer(name: string): RegisteredServer | undefined;
  peekVault(name: string): Vault | undefined;
  peekVaults(): readonly Vault[];

  /** Fresh from the store, and into the copy. `undefined`: no such server. */
  readServer(name: string): Promise<RegisteredServer | undefined>;
  /**
   * The same of all vaults, for showing. One that cannot be read now is told to the log once, and is there as it was last read: what is
   * registered of a vault never changes. One that was never read here is left out.
   */
  readVaults(): Promise<readonly Vault[]>;
  /** Fresh from the store, for deciding. `undefined`: no such vault; one that cannot be read rejects with `Unreadable`, which names it. */
  findVault(by: VaultAddress): Promise<Vault | undefined>;

  /**
   * Fresh from the store as `readServer`, in one read, and not into the copy: for those who go through all servers. Names that follow one
   * another are read best.
   * @returns those that one read could tell, by name. One that is missing may be there: `readServer` says.
   */
  readTogether(names: readonly string[]): Promise<ReadonlyMap<string, RegisteredServer>>;

  /**
   * Stores a vault unless its name or its URI is taken.
   * @returns the vault that is stored under this name or URI: the one given, or the one that was there first.
   */
  addVault(vault: Vault): Promise<Vault>;

  /**
   * The compare-and-set loop on one server: `decide` sees what is stored and answers the change, or null for none. It is called again on
   * what another instance stored meanwhile, so it must be pure. `next.revision` is set by the registry.
   * @returns what is stored afterwards; undefined if there is no such server.
   */
  changeServer(name: string, decide: (stored: RegisteredServer | undefined) => ServerChange | null): Promise<RegisteredServer | undefined>;

  /** All servers' names, in pages by name: those after `after`, at most `limit`; fewer than `limit` means the end. */
  serverNames(after: string | null, limit: number): Promise<readonly string[]>;

  /**
   * The servers that are not online, in pages by name, found without looking at all of them. One that was online again, or removed, at the
   * moment of a kill may be among them: whoever shows one looks it up. Of one
   * whose standing cannot be read the log is told once, and the server read; it is left out only where that cannot be either.
   */
  serversNotOnline(after: string | null, limit: number): Promise<readonly ServerStanding[]>;
}
