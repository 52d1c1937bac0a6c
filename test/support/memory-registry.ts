import type { RegisteredServer } from '../../src/domain/server.ts';
import type { Vault } from '../../src/domain/vault.ts';
import type { Registry } from '../../src/ports/registry.ts';
import type { BrokerEvent } from '../../src/domain/event.ts';
import { Unreadable } from '../../src/ports/store.ts';
import { putEvents } from './memory-event-log.ts';
import type { MemoryStore } from './memory-store.ts';

/** One instance's registry in memory: the store is shared, the copy is its own and as old as its last read or `refresh`. */
export interface MemoryRegistry extends Registry {
  refresh(): Promise<void>;
}

export function createMemoryRegistry(store: MemoryStore): MemoryRegistry {
  const copy = new Map<string, RegisteredServer>();
  let vaults: readonly Vault[] = [];

  function keep(name: string, registered: RegisteredServer | undefined): RegisteredServer | undefined {
    if (registered === undefined) copy.delete(name);
    else copy.set(name, registered);
    return registered;
  }

  async function readVaults(): Promise<readonly Vault[]> {
    vaults = (await store.read<readonly Vault[]>('vaults', [])).value;
    return vaults;
  }

  async function readServer(name: string): Promise<RegisteredServer | undefined> {
    return keep(name, (await store.read<RegisteredServer | undefined>(`server/${name}`, undefined)).value);
  }

  return {
    peekServer: (name) => copy.get(name),
    peekVault: (name) => vaults.find((vault) => vault.name === name),
    peekVaults: () => vaults,
    readServer,
    readVaults,
    async findVault(by) {
      const { value } = await store.read<readonly Vault[]>('vaults', []);
      return value.find((vault) => ('name' in by ? vault.name === by.name : vault.uri === by.uri));
    },
    async readTogether(names) {
      try {
        const read = await Promise.all(names.map((name) => store.read<RegisteredServer | undefined>(`server/${name}`, undefined)));
        return new Map(read.flatMap(({ value }) => (value === undefined ? [] : [[value.server.name, value]])));
      } catch (error) {
        if (error instanceof Unreadable) return new Map();
        throw error;
      }
    },
    async addVault(vault) {
      const holder = (known: readonly Vault[]): Vault | undefined =>
        known.find(({ name }) => name === vault.name) ?? known.find(({ uri }) => uri === vault.uri);
      vaults = await store.change<readonly Vault[]>('vaults', [], (known) => (holder(known) ? undefined : { next: [...known, vault] }));
      return holder(vaults) ?? vault;
    },
    async changeServer(name, decide) {
      let events: readonly BrokerEvent[] = [];
      const stored = await store.change<RegisteredServer | undefined>(`server/${name}`, undefined, (current) => {
        const change = decide(current);
        const nothingChanges = change === null || (change.next === null && current === undefined);
        events = nothingChanges ? [] : change.events;
        if (nothingChanges) return undefined;
        return { next: change.next === null ? undefined : { ...change.next, revision: (current?.revision ?? 0) + 1 } };
      });
      await putEvents(store, events);
      return keep(name, stored);
    },
    async serverNames(after, limit) {
      const servers = await store.list<RegisteredServer>('server/');
      const names = servers.map(({ server }) => server.name).sort();
      return names.filter((name) => after === null || name > after).slice(0, limit);
    },
    async serversNotOnline(after, limit) {
      const servers = await store.list<RegisteredServer>('server/');
      return servers
        .map(({ server: { name, state, since, clock } }) => ({ name, state, since, clock }))
        .filter(({ name, state }) => state !== 'online' && (after === null || name > after))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .slice(0, limit);
    },
    async refresh() {
      for (const name of [...copy.keys()]) await readServer(name);
      await readVaults();
    },
  };
}
