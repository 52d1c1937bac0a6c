import { expect, test } from 'vitest';
import { createReports } from '../../src/broker/reports.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { createMemoryEventLog } from '../support/memory-event-log.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const store = createMemoryStore();
const operations = {
  isCursor: (text: string) => text === 'good',
  flush: () => Promise.resolve(),
  page: () => Promise.resolve({ items: [], next: null }),
};
const reports = createReports({ events: createMemoryEventLog(store), operations, registry: {} } as never);
const context = {} as never;

test('a cursor that is none of this list is refused by its field, not answered with an empty page', async () => {
  const events = await reports.listEvents({ after: 'foreign', limit: 10, since: null, subject: null }, context);
  const records = await reports.listOperations({ after: 'foreign', limit: 10, since: null, server: null }, context);
  for (const outcome of [events, records]) {
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'InvalidRequest' } });
    expect(outcome.ok ? '' : outcome.refusal.detail).toMatch(/^after: /);
  }
  expect(await reports.listOperations({ after: 'good', limit: 10, since: null, server: null }, context)).toMatchObject({ ok: true });
});

test('not ready: the store does not answer, or the own identity has no token; a fleet without vaults is only warned of', async () => {
  const readinessOf = (vaults: () => Promise<readonly unknown[]>, identity: string | null) => {
    const ownIdentity = { missing: () => Promise.resolve(identity) };
    return createReports({ registry: { readVaults: vaults }, ownIdentity } as never).readiness();
  };
  const one = () => Promise.resolve([{}]);
  const away = () => Promise.reject(new StoreAway('away'));
  const noToken = "the broker's own identity has no token for vaults: the identity does not exist";
  expect(await readinessOf(one, null)).toEqual({ missing: [], warnings: [] });
  expect(await readinessOf(() => Promise.resolve([]), null)).toEqual({ missing: [], warnings: ['no vault is registered'] });
  expect(await readinessOf(one, 'the identity does not exist')).toEqual({ missing: [noToken], warnings: [] });
  expect(await readinessOf(away, 'the identity does not exist')).toEqual({ missing: ['the store does not answer', noToken], warnings: [] });
});
