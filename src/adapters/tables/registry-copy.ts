import type { RegisteredServer } from '../../domain/server.ts';
import type { Vault } from '../../domain/vault.ts';

/** A place in the order in which reads and writes were begun. */
export type Order = number;

/**
 * The copy of the registry in memory. Answers arrive out of order; each is kept only if it was begun later than what is there, so that a
 * slow read never undoes a newer one. A change's order is taken before its read, so that whatever another instance stored later wins; and of
 * one registration the higher revision does, since a read that was begun during a change may have seen what was there before it.
 */
export interface RegistryCopy {
  begin(): Order;
  /** Runs a work that will keep something of a server: while it runs, the copy concerns itself with that server. */
  during<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Whether the server is in the copy, or about to be: what a work under way has read may be out of date when it is kept. */
  concerns(name: string): boolean;
  server(name: string): RegisteredServer | undefined;
  /** Keeps what the store said of a server; undefined: there is none. */
  keepServer(name: string, order: Order, registered: RegisteredServer | undefined): void;
  /** All that it concerns itself with. */
  concerned(): Iterable<string>;
  vault(name: string): Vault | undefined;
  vaults(): readonly Vault[];
  /**
   * Keeps what the store said of all vaults. One that cannot be read stays as it was last: it is in service, and what is registered of a vault
   * never changes.
   * @returns the vaults as this reading knows them.
   */
  keepVaults(order: Order, read: readonly Vault[], unreadable: readonly string[]): readonly Vault[];
  /** Whether the vaults were ever read. */
  knowsVaults(): boolean;
}

export function createRegistryCopy(): RegistryCopy {
  const servers = new Map<string, { readonly order: Order; readonly registered: RegisteredServer | undefined }>();
  const underWay = new Map<string, number>();
  let vaults: readonly Vault[] = [];
  let vaultsByName = new Map<string, Vault>();
  let vaultsOrder: Order = 0;
  let begun: Order = 0;

  return {
    begin: () => ++begun,
    async during(name, work) {
      underWay.set(name, (underWay.get(name) ?? 0) + 1);
      try {
        return await work();
      } finally {
        const others = (underWay.get(name) ?? 1) - 1;
        if (others === 0) underWay.delete(name);
        else underWay.set(name, others);
      }
    },
    concerns: (name) => underWay.has(name) || servers.get(name)?.registered !== undefined,
    server: (name) => servers.get(name)?.registered,
    keepServer(name, order, registered) {
      const known = servers.get(name);
      const newer = registered !== undefined && known?.registered !== undefined ? revisionsAhead(registered, known.registered) : 0;
      if (newer < 0 || (newer === 0 && known !== undefined && known.order > order)) return;
      // A removed server keeps its place, so that a slow read does not bring it back; a name that never was takes none.
      if (known !== undefined || registered !== undefined) servers.set(name, { order: Math.max(order, known?.order ?? 0), registered });
    },
    concerned: () => [...underWay.keys(), ...[...servers].filter(([, { registered }]) => registered !== undefined).map(([name]) => name)],
    vault: (name) => vaultsByName.get(name),
    vaults: () => vaults,
    keepVaults(order, read, unreadable) {
      const known = [...read, ...unreadable.flatMap((name) => vaultsByName.get(name) ?? [])];
      if (order < vaultsOrder) return known;
      vaultsOrder = order;
      vaults = known;
      vaultsByName = new Map(known.map((vault) => [vault.name, vault]));
      return known;
    },
    knowsVaults: () => vaultsOrder > 0,
  };
}

/** By how many changes `a` is ahead of `b`; 0 where they are of two registrations. */
function revisionsAhead(a: RegisteredServer, b: RegisteredServer): number {
  return a.incarnation === b.incarnation ? a.revision - b.revision : 0;
}
