import { beforeEach, describe, expect, test } from 'vitest';
import { createReservations } from '../../src/broker/reservations.ts';
import type { Reservations } from '../../src/broker/reservations.ts';
import type { RegisteredServer, Tier } from '../../src/domain/server.ts';
import type { AssociationLedger } from '../../src/ports/association.ts';
import { createMemoryAssociationLedger } from '../support/memory-association-ledger.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const rules = { association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 20 } };

function serverWith(name: string, databases: Record<string, Tier>, vaults = ['kv-west', 'kv-north'], revision = 1): RegisteredServer {
  const [protector, ...standbys] = vaults.map((vault, i) => ({
    keyId: `https://${vault}/keys/k/1`,
    role: i === 0 ? 'protector' : 'standby',
    vault,
    standbyOf: i === 0 ? null : `https://${vaults[0] ?? ''}/keys/k/1`,
  }));
  return { server: { name }, links: [protector, ...standbys], databases: new Map(Object.entries(databases)), revision } as never;
}

describe('B1: reservations round a change of a server', () => {
  const clock = virtualClock();
  let ledger: AssociationLedger;
  let registered: Map<string, RegisteredServer>;
  let reservations: Reservations;

  beforeEach(() => {
    ledger = createMemoryAssociationLedger(createMemoryStore(), clock);
    registered = new Map();
    const registry = { readServer: (name: string) => Promise.resolve(registered.get(name)) };
    reservations = createReservations({ association: ledger, clock, registry, rules } as never);
  });

  const sum = async (vault: string) => (await ledger.read(vault)).counts;
  const gp = (count: number) => ({ GeneralPurpose: count, BusinessCritical: 0 });

  test('counts on the vaults of the protector and of every standby', async () => {
    const after = serverWith('a', { one: 'GeneralPurpose' });
    const reservation = await reservations.reserve(serverWith('a', {}), after);
    expect(reservation.refusal).toBeUndefined();
    await reservation.settle(after);
    expect([await sum('kv-west'), await sum('kv-north')]).toEqual([gp(1), gp(1)]);
  });

  test('a vault without room refuses with the room left, and nothing stays reserved in the others', async () => {
    await ledger.settle({ vault: 'kv-north', server: 'b', id: 'x' }, gp(9), 1);
    const after = serverWith('a', { one: 'GeneralPurpose', two: 'GeneralPurpose' });
    const { refusal } = await reservations.reserve(serverWith('a', {}), after);
    expect(refusal).toMatchObject({ code: 'VaultBudgetExceeded' });
    expect(refusal?.detail).toContain('vault kv-north has 2 of 20 points left');
    expect(await sum('kv-west')).toEqual(gp(0));
  });

  test('what a killed instance reserved and stored still counts; what it did not store makes room when a vault seems full', async () => {
    await reservations.reserve(serverWith('a', {}), serverWith('a', { one: 'GeneralPurpose', two: 'GeneralPurpose' }));
    await reservations.reserve(
      serverWith('b', {}),
      serverWith('b', Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`d${i}`, 'GeneralPurpose']))),
    );
    registered.set('a', serverWith('a', { one: 'GeneralPurpose', two: 'GeneralPurpose' }, ['kv-west', 'kv-north'], 2));
    await clock.advance(60_001);
    const after = serverWith('c', Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`d${i}`, 'GeneralPurpose'])));
    const reservation = await reservations.reserve(serverWith('c', {}), after);
    expect(reservation.refusal).toBeUndefined();
    expect(await sum('kv-west')).toEqual(gp(10));
  });

  test('a server that moves to another vault is released in the one that it left', async () => {
    const before = serverWith('a', { one: 'BusinessCritical' });
    await (await reservations.reserve(serverWith('a', {}), before)).settle(before);
    const after = serverWith('a', { one: 'BusinessCritical' }, ['kv-east'], 2);
    await (await reservations.reserve(before, after)).settle(after);
    expect(await sum('kv-west')).toEqual(gp(0));
    expect(await sum('kv-east')).toEqual({ GeneralPurpose: 0, BusinessCritical: 1 });
  });

  test('a removal that is killed half-way is reconciled', async () => {
    const stored = serverWith('a', { one: 'GeneralPurpose' });
    await (await reservations.reserve(serverWith('a', {}), stored)).settle(stored);
    await expect(reservations.around(stored, () => Promise.reject(new Error('killed')))).rejects.toThrow('killed');
    expect(await sum('kv-west')).toEqual(gp(1));
    await clock.advance(60_001);
    await reservations.reconcile('kv-west');
    expect(await sum('kv-west')).toEqual(gp(0));
  });
});
