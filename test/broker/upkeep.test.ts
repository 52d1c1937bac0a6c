import { expect, test } from 'vitest';
import { createUpkeep } from '../../src/broker/upkeep.ts';
import { minutes, plus } from '../../src/domain/time.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { virtualClock } from '../support/virtual-clock.ts';

test('every five minutes vaults are reconciled, and events that a webhook has not taken for a quarter of an hour are said', async () => {
  const clock = virtualClock();
  const began = clock.now();
  const reconciled: string[] = [];
  const said: unknown[] = [];
  const webhooks = [
    { name: 'late', count: 3, oldestAt: plus(began, minutes(-9.9)) },
    { name: 'fresh', count: 1, oldestAt: began },
    { name: 'idle', count: 0, oldestAt: null },
  ];
  const upkeep = createUpkeep({
    parts: { clock, log: (...line: unknown[]) => void said.push(line), registry: { peekVaults: () => [{ name: 'kv-west' }] } },
    reservations: { reconcile: (vault: string) => Promise.resolve(void reconciled.push(vault)) },
    undelivered: () => Promise.resolve({ webhooks }),
  } as never);

  await clock.advance(minutes(5) - 1);
  await upkeep();
  expect(reconciled).toEqual([]);
  await clock.advance(1);
  await upkeep();
  expect(reconciled).toEqual(['kv-west']);
  expect(said).toEqual([]);
  await clock.advance(minutes(5));
  await upkeep();
  expect(reconciled).toHaveLength(2);
  expect(said).toEqual([['warn', 'events wait for delivery', expect.objectContaining({ webhook: 'late', waiting: 3 })]]);
});

test('the reservations of one vault that cannot be put right keep neither the others nor the events that wait from their turn', async () => {
  const clock = virtualClock();
  const reconciled: string[] = [];
  const said: unknown[] = [];
  const upkeep = createUpkeep({
    parts: {
      clock,
      log: (_level: string, message: string, about: { readonly vault?: string; readonly webhook?: string }) =>
        void said.push([message, about.vault ?? about.webhook]),
      registry: { peekVaults: () => [{ name: 'kv-broken' }, { name: 'kv-west' }] },
    },
    reservations: {
      reconcile: (vault: string) =>
        vault === 'kv-broken' ? Promise.reject(new StoreAway('a row')) : Promise.resolve(void reconciled.push(vault)),
    },
    undelivered: () => Promise.resolve({ webhooks: [{ name: 'late', count: 3, oldestAt: plus(clock.now(), minutes(-20)) }] }),
  } as never);
  await clock.advance(minutes(5));
  await upkeep();
  expect(reconciled).toEqual(['kv-west']);
  expect(said).toEqual([
    ['the reservations of a vault could not be put right', 'kv-broken'],
    ['events wait for delivery', 'late'],
  ]);
});

test('what waits for delivery and cannot be read is said, and ends no watch; a store that is away does', async () => {
  const clock = virtualClock();
  const said: unknown[] = [];
  let error: Error = new Unreadable('row `state` has schema 9');
  const upkeep = createUpkeep({
    parts: { clock, log: (...line: unknown[]) => void said.push(line), registry: { peekVaults: () => [] } },
    undelivered: () => Promise.reject(error),
  } as never);
  await clock.advance(minutes(5));
  await upkeep();
  expect(said).toEqual([['error', 'what waits for delivery cannot be told', { reason: 'row `state` has schema 9' }]]);
  error = new StoreAway('away');
  await clock.advance(minutes(5));
  await expect(upkeep()).rejects.toThrow('away');
});
