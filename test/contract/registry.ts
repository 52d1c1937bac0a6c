import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { RegisteredServer, Tier } from '../../src/domain/server.ts';
import type { EventLog } from '../../src/ports/events.ts';
import type { Registry } from '../../src/ports/registry.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { describeEventsOfChanges } from './registry-events.ts';
import { describeVaults } from './registry-vaults.ts';
import { aLink, aRegistered, aVault, keyId } from '../support/stored-values.ts';

/** One instance's registry on a store that it shares with the others of its rig. */
export interface RegistryInstance {
  readonly registry: Registry & { refresh(): Promise<void> };
  readonly events: EventLog;
}

export interface RegistryRig {
  open(): RegistryInstance;
  /** Makes the store away, or ends that. */
  setAway(away: boolean): void | Promise<void>;
}

/** Stores `databases` under `name`, whatever was there. */
async function put(
  registry: Registry,
  name: string,
  databases: readonly (readonly [string, Tier])[] = [],
): Promise<RegisteredServer | undefined> {
  return registry.changeServer(name, () => ({ next: aRegistered(name, databases), events: [] }));
}

function withDatabase(stored: RegisteredServer, name: string, tier: Tier): RegisteredServer {
  return { ...stored, databases: new Map(stored.databases).set(name, tier) };
}

export function describeRegistry(name: string, factory: () => Promise<RegistryRig>): void {
  describe(`registry: ${name}`, () => {
    let rig: RegistryRig;
    let a: RegistryInstance;
    let b: RegistryInstance;
    beforeEach(async () => {
      rig = await factory();
      a = rig.open();
      b = rig.open();
    });

    it('servers that are not online are found by name, in pages; one that is online again, or removed, is gone from there', async () => {
      const stand = (name: string, state: 'online' | 'atRisk' | 'pendingValidation') =>
        a.registry.changeServer(name, (stored) => {
          const known = stored ?? aRegistered(name);
          return { next: { ...known, server: { ...known.server, state } }, events: [] };
        });
      for (const name of ['sql-a', 'sql-b', 'sql-c', 'sql-d']) await stand(name, 'pendingValidation');
      await stand('sql-b', 'online');
      await stand('sql-c', 'online');
      await stand('sql-c', 'atRisk');
      await a.registry.changeServer('sql-d', () => ({ next: null, events: [] }));
      const first = await b.registry.serversNotOnline(null, 1);
      expect(first).toMatchObject([{ name: 'sql-a', state: 'pendingValidation', clock: null }]);
      expect(await b.registry.serversNotOnline('sql-a', 5)).toMatchObject([{ name: 'sql-c', state: 'atRisk' }]);
    });

    describeVaults(factory);
    describeEventsOfChanges(factory);

    it('an unknown server is undefined in the copy and in the store', async () => {
      expect(a.registry.peekServer('sql-demo')).toBeUndefined();
      expect(await a.registry.readServer('sql-demo')).toBeUndefined();
    });

    it('what is stored is read back whole by another instance: links in order, databases, revision', async () => {
      const links = [aLink(), aLink({ role: 'standby', standbyOf: keyId(), keyId: keyId('kv-north'), vault: 'kv-north', rank: 1 })];
      const databases = [
        ['orders', 'GeneralPurpose'],
        ['ledger.v2_x', 'BusinessCritical'],
      ] as const;
      const stored = await a.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo', databases, links), events: [] }));
      expect(stored?.revision).toBe(1);
      const read = await b.registry.readServer('sql-demo');
      expect(read).toEqual(stored);
      expect(read?.links.map((link) => link.vault)).toEqual(['kv-west', 'kv-north']);
    });

    it('a change sees what is stored, grows the revision by one, and drops what it leaves out', async () => {
      await put(a.registry, 'sql-demo', [
        ['orders', 'GeneralPurpose'],
        ['ledger', 'GeneralPurpose'],
      ]);
      const stored = await b.registry.changeServer('sql-demo', (current) => ({
        next: aRegistered(current!.server.name, [['ledger', 'BusinessCritical']]),
        events: [],
      }));
      expect(stored?.revision).toBe(2);
      expect(await a.registry.readServer('sql-demo')).toEqual(stored);
      expect([...stored!.databases]).toEqual([['ledger', 'BusinessCritical']]);
    });

    it('null changes nothing and answers what is stored', async () => {
      const stored = await put(a.registry, 'sql-demo');
      expect(await b.registry.changeServer('sql-demo', () => null)).toEqual(stored);
      expect(await b.registry.changeServer('unknown', () => null)).toBeUndefined();
    });

    it('two instances that change one server at once: none of the changes is lost', async () => {
      await put(a.registry, 'sql-demo');
      const names = Array.from({ length: 12 }, (_, number) => `db-${number}`);
      await Promise.all(
        names.map((database, number) =>
          (number % 2 === 0 ? a : b).registry.changeServer('sql-demo', (current) => ({
            next: withDatabase(current!, database, 'GeneralPurpose'),
            events: [],
          })),
        ),
      );
      const stored = await a.registry.readServer('sql-demo');
      expect([...stored!.databases.keys()].sort()).toEqual([...names].sort());
      expect(stored?.revision).toBe(13);
    });

    it('the same server registered by two instances at once is registered once', async () => {
      const decide = (current: RegisteredServer | undefined): { next: RegisteredServer; events: [] } | null =>
        current === undefined ? { next: aRegistered('sql-demo'), events: [] } : null;
      const [one, other] = await Promise.all([a.registry.changeServer('sql-demo', decide), b.registry.changeServer('sql-demo', decide)]);
      expect(one).toEqual(other);
      expect(one?.revision).toBe(1);
    });

    it('a removed server is gone with all that belongs to it, and may be registered anew from revision 1', async () => {
      const many = Array.from({ length: 250 }, (_, number) => [`db-${number}`, 'GeneralPurpose'] as const);
      for (let start = 0; start < many.length; start += 90) {
        await put(a.registry, 'sql-demo', many.slice(0, start + 90));
      }
      expect((await b.registry.readServer('sql-demo'))?.databases.size).toBe(250);
      expect(await a.registry.changeServer('sql-demo', () => ({ next: null, events: [] }))).toBeUndefined();
      expect(await b.registry.readServer('sql-demo')).toBeUndefined();
      expect(a.registry.peekServer('sql-demo')).toBeUndefined();
      await vi.waitFor(async () => expect(await b.registry.serverNames(null, 10)).toEqual([]), { timeout: 5000 });
      const again = await b.registry.changeServer('sql-demo', (current) =>
        current === undefined ? { next: aRegistered('sql-demo', [['new', 'GeneralPurpose']]), events: [] } : null,
      );
      expect(again?.revision).toBe(1);
      expect([...(await a.registry.readServer('sql-demo'))!.databases.keys()]).toEqual(['new']);
      expect(await a.registry.serverNames(null, 10)).toEqual(['sql-demo']);
    });

    it("the copy: a read fills it, a change of one's own is in it at once, a change of another after a refresh", async () => {
      await put(a.registry, 'sql-demo');
      expect(a.registry.peekServer('sql-demo')?.revision).toBe(1);
      expect(b.registry.peekServer('sql-demo')).toBeUndefined();
      await b.registry.readServer('sql-demo');
      expect(b.registry.peekServer('sql-demo')?.revision).toBe(1);
      await put(a.registry, 'sql-demo', [['orders', 'GeneralPurpose']]);
      expect(b.registry.peekServer('sql-demo')?.revision).toBe(1);
      await b.registry.refresh();
      expect(b.registry.peekServer('sql-demo')?.databases.size).toBe(1);
      await a.registry.changeServer('sql-demo', () => ({ next: null, events: [] }));
      await b.registry.refresh();
      expect(b.registry.peekServer('sql-demo')).toBeUndefined();
    });

    it('names come in pages, in order', async () => {
      for (const server of ['sql-c', 'sql-a', 'sql-b']) await put(a.registry, server);
      expect(await b.registry.serverNames(null, 2)).toEqual(['sql-a', 'sql-b']);
      expect(await b.registry.serverNames('sql-b', 2)).toEqual(['sql-c']);
      expect(await b.registry.serverNames('sql-c', 2)).toEqual([]);
    });

    it('many are read together, fresh, whole, and not into the copy; who is not there is missing', async () => {
      const links = [aLink(), aLink({ role: 'standby', standbyOf: keyId(), keyId: keyId('kv-north'), vault: 'kv-north', rank: 1 })];
      const stored = await Promise.all(
        ['sql', 'sql-a', 'sql-a1', 'sql-b'].map((name) =>
          a.registry.changeServer(name, () => ({ next: aRegistered(name, [['orders', 'GeneralPurpose']], links), events: [] })),
        ),
      );
      await put(a.registry, 'sql-gone');
      await a.registry.changeServer('sql-gone', () => ({ next: null, events: [] }));
      const names = ['sql-b', 'sql', 'sql-none', 'sql-a1', 'sql-gone'];
      const read = await b.registry.readTogether(names);
      expect([...read].sort(([one], [other]) => (one < other ? -1 : 1))).toEqual([
        ['sql', stored[0]],
        ['sql-a1', stored[2]],
        ['sql-b', stored[3]],
      ]);
      expect(names.map((name) => b.registry.peekServer(name))).toEqual(names.map(() => undefined));
      expect(await b.registry.readTogether([])).toEqual(new Map());
    });

    it('of servers with more rows than one read gives, read together, none is told in part', async () => {
      const databases = Array.from({ length: 600 }, (_unused, number) => [`db-${number}`, 'GeneralPurpose'] as const);
      const stored = new Map<string, RegisteredServer | undefined>();
      for (const name of ['sql-a', 'sql-b']) {
        for (let size = 90; size < databases.length + 90; size += 90)
          stored.set(name, await put(a.registry, name, databases.slice(0, size)));
      }
      const read = await b.registry.readTogether(['sql-a', 'sql-b']);
      for (const [name, registered] of read) expect(registered).toEqual(stored.get(name));
    });

    it('store away: the copy serves on, everything else rejects with StoreAway, and all is as before afterwards', async () => {
      const stored = await put(a.registry, 'sql-demo');
      await rig.setAway(true);
      expect(a.registry.peekServer('sql-demo')).toEqual(stored);
      await expect(a.registry.readServer('sql-demo')).rejects.toBeInstanceOf(StoreAway);
      await expect(put(a.registry, 'sql-demo')).rejects.toBeInstanceOf(StoreAway);
      await expect(a.registry.addVault(aVault())).rejects.toBeInstanceOf(StoreAway);
      await expect(a.registry.serverNames(null, 1)).rejects.toBeInstanceOf(StoreAway);
      await expect(a.registry.readTogether(['sql-demo'])).rejects.toBeInstanceOf(StoreAway);
      await expect(a.registry.refresh()).rejects.toBeInstanceOf(StoreAway);
      await rig.setAway(false);
      expect(await a.registry.readServer('sql-demo')).toEqual(stored);
    });
  });
}
