import { createRegister } from '../../src/broker/register.ts';
import { createRegisterDatabase } from '../../src/broker/register-database.ts';
import { createReservations } from '../../src/broker/reservations.ts';
import type { Roads } from '../../src/broker/roads.ts';
import { createStoreReserved } from '../../src/broker/store-reserved.ts';
import { countDatabases, type Link, type RegisteredServer, type Tier } from '../../src/domain/server.ts';
import { associationPoints, carryingVaults } from '../../src/policy/association.ts';
import { createMemoryAssociationLedger } from '../support/memory-association-ledger.ts';
import { createMemoryRegistry } from '../support/memory-registry.ts';
import { createMemoryStore, type MemoryStore } from '../support/memory-store.ts';
import { aLink, keyId } from '../support/stored-values.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';

export const vaultNames = ['kv-a', 'kv-b', 'kv-c'] as const;
export const limit = 20;
const rules = { association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit } };

/**
 * What an instance can be asked to do. `move` is a change of protector: to the first vault, with standbys in the others; `enlist` registers
 * a server, moves it there and gives it databases.
 */
export type Work =
  | { readonly kind: 'register' | 'remove'; readonly server: string }
  | { readonly kind: 'put'; readonly server: string; readonly database: string; readonly tier: Tier }
  | { readonly kind: 'drop'; readonly server: string; readonly database: string }
  | { readonly kind: 'enlist' | 'move'; readonly server: string; readonly vaults: readonly string[] }
  | { readonly kind: 'reconcile'; readonly vault: string };

interface Instance {
  readonly registry: ReturnType<typeof createMemoryRegistry>;
  readonly reservations: ReturnType<typeof createReservations>;
  readonly storeReserved: ReturnType<typeof createStoreReserved>;
  readonly roads: Pick<Roads, 'putServer' | 'deleteServer' | 'putDatabase' | 'deleteDatabase'>;
}

const operator = { caller: { objectId: 'o', roles: new Set(['KeyBroker.Operator']) } } as never;

/**
 * Two instances over one store. Each read and each write waits until `step` lets it happen, so that works interleave in any order, and a
 * work may stand still for as long as a test likes; an instance that is killed leaves whatever it was about to do undone.
 */
export function createAssociationWorld() {
  const clock = virtualClock();
  const store = createMemoryStore();
  const waiting: { readonly instance: number; readonly go: () => void }[] = [];

  function start(number: number): Instance {
    const own = waitingStore(store, () => new Promise((go) => waiting.push({ instance: number, go })));
    return instanceOver(own);
  }

  function instanceOver(own: MemoryStore): Instance {
    const registry = createMemoryRegistry(own);
    const association = createMemoryAssociationLedger(own, clock);
    const parts = { association, clock, registry, rules } as never;
    const reservations = createReservations(parts);
    const storeReserved = createStoreReserved(registry, reservations);
    const access = { unlinked: () => Promise.resolve() } as never;
    const roads = { ...createRegister(parts, storeReserved, access), ...createRegisterDatabase(parts, storeReserved) };
    return { registry, reservations, storeReserved, roads };
  }

  const instances = [start(0), start(1)];
  /** Waits for nobody: what a test itself does when all is quiet. */
  const direct = instanceOver(store);
  const ledger = createMemoryAssociationLedger(store, clock);

  async function points(vault: string): Promise<number> {
    const servers = await store.list<RegisteredServer>('server/');
    const carried = servers.filter((registered) => carryingVaults(registered).includes(vault));
    return carried.reduce((sum, { databases }) => sum + associationPoints(countDatabases(databases), rules.association), 0);
  }

  return {
    /** Begins a work on an instance; it goes on as `step` allows. */
    async begin(number: number, work: Work): Promise<void> {
      void walk(instances[number]!, work);
      await settled();
    },

    /** Whether a work of the instance is under way. */
    busy: (number: number): boolean => waiting.some(({ instance }) => instance === number),

    /** Lets one of the reads and writes happen that wait on an instance. */
    async step(pick: number, number: number): Promise<void> {
      const eligible = waiting.filter(({ instance }) => instance === number);
      const chosen = eligible[pick % Math.max(1, eligible.length)];
      if (chosen === undefined) return;
      waiting.splice(waiting.indexOf(chosen), 1);
      chosen.go();
      await settled();
    },

    async kill(number: number): Promise<void> {
      const others = waiting.filter(({ instance }) => instance !== number);
      waiting.splice(0, waiting.length, ...others);
      instances[number] = start(number);
      await settled();
    },

    advance: (ms: number) => clock.advance(ms),

    /** Everything that was begun ends, and what the killed left is reconciled. */
    async quiet(): Promise<void> {
      for (const number of instances.keys()) while (this.busy(number)) await this.step(0, number);
      await clock.advance(60_001);
      for (const vault of vaultNames) await direct.reservations.reconcile(vault);
    },

    /** Does a work at once, when all is quiet. */
    at: (work: Work) => walk(direct, work),

    /** What is registered at a vault, in points: the truth. */
    points,

    /** What the ledger says of a vault, in points. */
    counted: async (vault: string): Promise<number> => associationPoints((await ledger.read(vault)).counts, rules.association),

    registered: (server: string) => direct.registry.readServer(server),
  };
}

export type AssociationWorld = ReturnType<typeof createAssociationWorld>;

/** The store as one instance sees it, each access behind a wait. */
function waitingStore(store: MemoryStore, wait: () => Promise<void>): MemoryStore {
  const own: MemoryStore = {
    ...store,
    read: async (key, absent) => {
      await wait();
      return store.read(key, absent);
    },
    list: async (prefix) => {
      await wait();
      return store.list(prefix);
    },
    write: async (key, version, value) => {
      await wait();
      return store.write(key, version, value);
    },
    async change(key, absent, decide) {
      for (;;) {
        const { value, version } = await own.read(key, absent);
        const change = decide(value);
        if (change === undefined) return value;
        if (await own.write(key, version, change.next)) return change.next;
      }
    },
  };
  return own;
}

/** @returns the code of the refusal; null if it was done. */
async function walk(instance: Instance, work: Work): Promise<string | null> {
  const { registry, reservations, roads, storeReserved } = instance;
  switch (work.kind) {
    case 'register': {
      const server = { name: work.server, engine: 'sql', region: 'westeurope', principalId: 'p' } as never;
      return codeOf(await roads.putServer(server, operator));
    }
    case 'remove':
      return codeOf(await roads.deleteServer(work.server, operator));
    case 'put':
      return codeOf(await roads.putDatabase(work, operator));
    case 'drop':
      return codeOf(await roads.deleteDatabase(work, operator));
    case 'move': {
      const before = await registry.readServer(work.server);
      const stored = before && (await storeReserved.change(before, { ...before, links: linksIn(work.vaults) }, []));
      return stored === undefined ? 'Conflict' : codeOf(stored);
    }
    case 'enlist': {
      const { server } = work;
      await walk(instance, { kind: 'register', server });
      await walk(instance, { ...work, kind: 'move' });
      return walk(instance, { kind: 'put', server, database: 'd1', tier: 'BusinessCritical' });
    }
    case 'reconcile':
      await reservations.reconcile(work.vault);
      return null;
  }
}

function codeOf(outcome: { readonly ok: true } | { readonly ok: false; readonly refusal: { readonly code: string } }): string | null {
  return outcome.ok ? null : outcome.refusal.code;
}

function linksIn([first = 'kv-a', ...others]: readonly string[]): readonly Link[] {
  const protector = aLink({ keyId: keyId(first), vault: first });
  return [protector, ...others.map((vault) => aLink({ keyId: keyId(vault), vault, role: 'standby', standbyOf: protector.keyId }))];
}
