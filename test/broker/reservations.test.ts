import { beforeEach, describe, expect, test } from 'vitest';
import { createReservations } from '../../src/broker/reservations.ts';
import type { Reservation, Reservations } from '../../src/broker/reservations.ts';
import { createStoreReserved } from '../../src/broker/store-reserved.ts';
import type { StoreReserved } from '../../src/broker/store-reserved.ts';
import type { Link, RegisteredServer, Tier } from '../../src/domain/server.ts';
import type { AssociationLedger } from '../../src/ports/association.ts';
import { Unreadable } from '../../src/ports/store.ts';
import { createMemoryAssociationLedger } from '../support/memory-association-ledger.ts';
import { createMemoryRegistry } from '../support/memory-registry.ts';
import type { MemoryRegistry } from '../support/memory-registry.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import type { MemoryStore } from '../support/memory-store.ts';
import { aLink, aRegistered, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const rules = { association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 20 } };

/** A protector in the first vault, a standby in each other. */
function linksIn([first = 'kv-west', ...others]: readonly string[]): readonly Link[] {
  const protector = aLink({ keyId: keyId(first), vault: first });
  return [protector, ...others.map((vault) => aLink({ keyId: keyId(vault), vault, role: 'standby', standbyOf: protector.keyId }))];
}

const both = ['kv-west', 'kv-north'];

describe('B1: reservations round a change of a server', () => {
  const clock = virtualClock();
  let store: MemoryStore;
  let ledger: AssociationLedger;
  let registry: MemoryRegistry;
  let reservations: Reservations;
  let storeReserved: StoreReserved;

  beforeEach(() => {
    store = createMemoryStore();
    ledger = createMemoryAssociationLedger(store, clock);
    registry = createMemoryRegistry(store);
    reservations = createReservations({ association: ledger, clock, registry, rules } as never);
    storeReserved = createStoreReserved(registry, reservations);
  });

  const gp = (count: number) => ({ GeneralPurpose: count, BusinessCritical: 0 });
  const databases = (count: number, tier: Tier = 'GeneralPurpose') => new Map(Array.from({ length: count }, (_, i) => [`d${i}`, tier]));

  async function sums(): Promise<readonly unknown[]> {
    return Promise.all(both.map(async (vault) => (await ledger.read(vault)).counts));
  }

  /** Registers a server without databases. */
  async function registered(name: string, vaults = both, incarnation = 'first'): Promise<RegisteredServer> {
    const next = { ...aRegistered(name, [], linksIn(vaults)), incarnation };
    return (await registry.changeServer(name, () => ({ next, events: [] })))!;
  }

  async function changed(before: RegisteredServer, change: Partial<RegisteredServer>): Promise<RegisteredServer> {
    const outcome = await storeReserved.change(before, { ...before, ...change }, []);
    if (outcome?.ok !== true) throw new Error('the change was not stored');
    return outcome.value;
  }

  const readded = async (name: string): Promise<RegisteredServer> => registered(name, both, 'second');

  /** Reserves and stores as an instance that is killed before it concludes. */
  async function storedByTheKilled(before: RegisteredServer, after: RegisteredServer | null): Promise<Reservation> {
    const reservation = await reservations.reserve(before, after);
    await registry.changeServer(before.server.name, () => ({ next: after, events: [] }));
    return reservation;
  }

  async function afterTheMinute(): Promise<void> {
    await clock.advance(60_001);
    for (const vault of both) await reservations.reconcile(vault);
  }

  test('counts on the vaults of the protector and of every standby', async () => {
    await changed(await registered('a'), { databases: databases(1) });
    expect(await sums()).toEqual([gp(1), gp(1)]);
  });

  test('a vault without room refuses with the room left, and nothing stays reserved in the others', async () => {
    await changed(await registered('b', ['kv-north']), { databases: databases(9) });
    const a = await registered('a');
    const outcome = await storeReserved.change(a, { ...a, databases: databases(2) }, []);
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'VaultBudgetExceeded' } });
    expect(outcome).toHaveProperty('refusal.detail', expect.stringContaining('vault kv-north has 2 of 20 points left'));
    expect(await sums()).toEqual([gp(0), gp(9)]);
  });

  test('what a killed instance reserved and stored still counts; what it did not store makes room when a vault seems full', async () => {
    const [a, b, c] = [await registered('a'), await registered('b'), await registered('c')];
    await storedByTheKilled(a, { ...a, databases: databases(2) });
    await reservations.reserve(b, { ...b, databases: databases(8) });
    await clock.advance(60_001);
    await changed(c, { databases: databases(8) });
    expect(await sums()).toEqual([gp(10), gp(10)]);
  });

  test('a server that moves to another vault is released in the one that it left', async () => {
    const a = await changed(await registered('a', ['kv-west']), { databases: databases(1, 'BusinessCritical') });
    await changed(a, { links: linksIn(['kv-north']) });
    expect(await sums()).toEqual([gp(0), { GeneralPurpose: 0, BusinessCritical: 1 }]);
  });

  test('a move that is killed after it was stored is released where it left, once it is reconciled', async () => {
    const a = await changed(await registered('a', ['kv-west']), { databases: databases(3) });
    await storedByTheKilled(a, { ...a, links: linksIn(['kv-north']) });
    expect(await sums()).toEqual([gp(3), gp(3)]);
    await afterTheMinute();
    expect(await sums()).toEqual([gp(0), gp(3)]);
  });

  test('a removal that is killed half-way is reconciled, whether or not the server was registered anew', async () => {
    const a = await changed(await registered('a'), { databases: databases(1) });
    await storedByTheKilled(a, null);
    expect(await sums()).toEqual([gp(1), gp(1)]);
    await changed(await readded('a'), { databases: databases(2) });
    expect(await sums()).toEqual([gp(3), gp(3)]);
    await afterTheMinute();
    expect(await sums()).toEqual([gp(2), gp(2)]);
  });

  test('a late end of a removal takes nothing from the server that was registered anew', async () => {
    const a = await changed(await registered('a'), { databases: databases(3) });
    const removal = await storedByTheKilled(a, null);
    await changed(await readded('a'), { databases: databases(2) });
    await removal.conclude(undefined);
    expect(await sums()).toEqual([gp(2), gp(2)]);
  });

  test('a late end of a change takes nothing from, and adds nothing to, the server that was registered anew', async () => {
    let a = await registered('a');
    for (const count of [1, 2, 3, 4]) a = await changed(a, { databases: databases(count) });
    const change = await storedByTheKilled(a, { ...a, databases: databases(5) });
    const last = (await registry.readServer('a'))!;
    expect(await storeReserved.remove(last)).toBe(true);
    await changed(await readded('a'), { databases: databases(1) });
    await change.conclude(last);
    expect(await sums()).toEqual([gp(1), gp(1)]);
  });

  test('a server that was changed since it was read is not removed; read again it is, in its new vaults too', async () => {
    const a = await changed(await registered('a', ['kv-west']), { databases: databases(3) });
    const moved = await changed(a, { links: linksIn(['kv-north']) });
    expect(await storeReserved.remove(a)).toBe(false);
    expect(await registry.readServer('a')).toEqual(moved);
    expect(await sums()).toEqual([gp(0), gp(3)]);
    expect(await storeReserved.remove(moved)).toBe(true);
    expect(await sums()).toEqual([gp(0), gp(0)]);
  });

  test('of two changes of the same server at once one is stored, and the other is told so', async () => {
    const a = await registered('a');
    const outcomes = await Promise.all(
      ['one', 'other'].map((name) => storeReserved.change(a, { ...a, databases: new Map([[name, 'GeneralPurpose']]) }, [])),
    );
    expect(outcomes.filter((outcome) => outcome?.ok === true)).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1);
    expect((await registry.readServer('a'))?.databases.size).toBe(1);
    expect(await sums()).toEqual([gp(1), gp(1)]);
  });

  test('a change that was begun before the server was registered anew is not stored in the new one, even at the same revision', async () => {
    const a = await registered('a');
    expect(await storeReserved.remove(a)).toBe(true);
    const again = await readded('a');
    expect(again.revision).toBe(a.revision);
    expect(await storeReserved.change(a, { ...a, databases: databases(1) }, [])).toBeUndefined();
    expect(await storeReserved.remove(a)).toBe(false);
    expect(await registry.readServer('a')).toEqual(again);
    expect(await sums()).toEqual([gp(0), gp(0)]);
  });

  test('a server that cannot be read keeps what it has reserved, and what others left is ended', async () => {
    const [a, b, c] = [await registered('a'), await registered('b'), await registered('c')];
    for (const server of [a, b]) await reservations.reserve(server, { ...server, databases: databases(5) });
    await clock.advance(60_001);
    let unreadable = true;
    const change = registry.changeServer;
    registry.changeServer = (name, decide) =>
      unreadable && name === 'a' ? Promise.reject(new Unreadable('server `a` cannot be read')) : change(name, decide);
    const larger = await changed(c, { databases: databases(5) });
    expect(await sums()).toEqual([gp(10), gp(10)]);
    unreadable = false;
    await changed(larger, { databases: databases(10) });
    expect(await sums()).toEqual([gp(10), gp(10)]);
  });

  test('an instance that is slow, not killed, stores nothing once its claims were ended by another', async () => {
    const a = await registered('a');
    store.before = async (access, key) => {
      if (access !== 'write' || key !== 'server/a') return;
      store.before = undefined;
      await afterTheMinute();
    };
    expect(await storeReserved.change(a, { ...a, databases: databases(4) }, [])).toBeUndefined();
    expect((await registry.readServer('a'))?.databases.size).toBe(0);
    expect(await sums()).toEqual([gp(0), gp(0)]);
  });
});
