import { beforeEach, describe, expect, test } from 'vitest';
import { createRegisterDatabase } from '../../src/broker/register-database.ts';
import { createReservations } from '../../src/broker/reservations.ts';
import { createStoreReserved } from '../../src/broker/store-reserved.ts';
import type { RequestContext } from '../../src/domain/caller.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { createMemoryAssociationLedger } from '../support/memory-association-ledger.ts';
import { createMemoryRegistry } from '../support/memory-registry.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import type { MemoryStore } from '../support/memory-store.ts';
import { aLink, aRegistered } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const operator = { caller: { objectId: 'operator', roles: new Set(['KeyBroker.Operator']) } } as unknown as RequestContext;
const rules = { association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 } };

describe('many databases of one server, registered at once', () => {
  let store: MemoryStore;

  function openInstance() {
    const clock = virtualClock();
    const registry = createMemoryRegistry(store);
    const association = createMemoryAssociationLedger(store, clock);
    const reservations = createReservations({ association, clock, registry, rules } as never);
    return { association, registry, ...createRegisterDatabase({ registry }, createStoreReserved(registry, reservations)) };
  }

  const names = Array.from({ length: 60 }, (_, number) => `db-${number}`);
  const asked = (database: string) => ({ server: 'sql-demo', database, tier: 'GeneralPurpose' as const });

  beforeEach(async () => {
    store = createMemoryStore();
    await createMemoryRegistry(store).changeServer('sql-demo', () => ({ next: aRegistered('sql-demo', [], [aLink()]), events: [] }));
  });

  test('B1: through one instance each is stored at its first try, and what was answered is registered', async () => {
    const one = openInstance();
    store.counts.writes = 0;
    const outcomes = await Promise.all(names.map((name) => one.putDatabase(asked(name), operator)));
    expect(outcomes).toEqual(names.map((name) => ({ ok: true, value: { created: true, value: { name, tier: 'GeneralPurpose' } } })));
    expect([...((await one.registry.readServer('sql-demo'))?.databases.keys() ?? [])].sort()).toEqual([...names].sort());
    // Each: the claim, the server, the end of the claim.
    expect(store.counts.writes).toBe(3 * names.length);
    expect((await one.association.read('kv-west')).counts).toEqual({ GeneralPurpose: 60, BusinessCritical: 0 });
  });

  test('B1: what an instance answered to be registered is, though another registers databases of the server too', async () => {
    const instances = [openInstance(), openInstance()];
    const outcomes = await Promise.all(
      names.slice(0, 16).map(async (name, number) => [name, (await instances[number % 2]!.putDatabase(asked(name), operator)).ok] as const),
    );
    const registered = await instances[0]!.registry.readServer('sql-demo');
    expect([...(registered?.databases.keys() ?? [])].sort()).toEqual(outcomes.flatMap(([name, ok]) => (ok ? name : [])).sort());
    expect((await instances[1]!.association.read('kv-west')).counts.GeneralPurpose).toBe(registered?.databases.size);
  });

  test('store away: those who wait their turn are told at once, and the next goes through', async () => {
    const one = openInstance();
    let reads = 0;
    store.before = () => {
      reads += 1;
      store.away = true;
    };
    const tries = await Promise.allSettled(names.map((name) => one.putDatabase(asked(name), operator)));
    for (const outcome of tries) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(StoreAway) as StoreAway });
    expect(reads).toBe(1);
    store.before = undefined;
    store.away = false;
    expect((await one.putDatabase(asked('after'), operator)).ok).toBe(true);
  });
});
