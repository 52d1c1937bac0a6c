import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createBatch } from '../../src/broker/batch.ts';
import type { Roads } from '../../src/broker/roads.ts';
import type { RequestContext } from '../../src/domain/caller.ts';
import { Dek } from '../../src/domain/dek.ts';
import type { OperationRecord } from '../../src/domain/operation.ts';
import { done, refuse } from '../../src/domain/refusal.ts';
import { millis } from '../../src/domain/time.ts';
import { viewOperation } from '../../src/http/views.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';
import { dekText, goodRoads, keyId, thumbprint, wrappedText } from '../support/wire-cases.ts';
import { objectId, testWire } from '../support/wire.ts';

const params = { server: 'sql-demo' };
const good = { database: 'orders', dek: dekText };

interface BatchBody {
  readonly items: readonly { result?: Record<string, unknown>; problem?: { code: string; detail: string; requestId: string } }[];
}

async function post(body: unknown): Promise<{ status: number; body: BatchBody }> {
  const answer = await testWire(goodRoads).call('batch', { params, body });
  return { status: answer.status, body: answer.json as unknown as BatchBody };
}

describe('batch: one result or problem an item, in order', () => {
  test.each([
    ['no item', []],
    ['1001 items', Array.from({ length: 1001 }, () => good)],
  ])('%s is refused as a whole, naming `items`', async (_name, items) => {
    const { status, body } = await post({ operation: 'wrap', items });
    expect(status).toBe(400);
    expect((body as unknown as { detail: string }).detail).toMatch(/^items: /);
  });

  test('a broken item gets a problem of its own and harms no other', async () => {
    const broken = [
      { ...good, dek: `${dekText}=` },
      { ...good, server: 'other' },
      { database: 'a/b', dek: dekText },
      { database: 'orders', dek: 'AAAA' },
      { ...good, algorithm: 'RSA1_5' },
      null,
      7,
      [],
    ];
    const items = broken.flatMap((one) => [good, one]);
    const { status, body } = await post({ operation: 'wrap', items });
    expect(status).toBe(200);
    expect(body.items).toHaveLength(items.length);
    body.items.forEach((item, i) => {
      if (i % 2 === 0) expect(item.result).toHaveProperty('wrappedDek');
      else expect(item.problem).toMatchObject({ code: 'InvalidRequest' });
    });
    expect(body.items[1]?.problem?.detail).toMatch(/^items\[1\]\.dek: /);
    expect(body.items[3]?.problem?.detail).toMatch(/^items\[3\]\.server: /);
    expect(body.items[9]?.problem?.detail).toMatch(/^items\[9\]\.algorithm: /);
  });

  test('what is wrong with an item as a whole is said of its place', async () => {
    const { body } = await post({ operation: 'wrap', items: [good, null, { ...good, [dekText]: 1 }] });
    expect(body.items[1]?.problem?.detail).toBe('items[1]: must be an object');
    expect(body.items[2]?.problem?.detail).toBe('items[2].(a name that is not told): is not known here');
  });

  test('answers stand where their items stood, whichever was done first', async () => {
    const gates = Array.from({ length: 100 }, () => Promise.withResolvers<undefined>());
    const wire = testWire({
      ...goodRoads,
      batch: batchAt(() => 0),
      unwrap: async ({ database, algorithm, thumbprint: key }) => {
        const index = Number(database.slice(3));
        await gates[index]?.promise;
        const dek = new Dek(Uint8Array.from({ length: 32 }, () => index));
        return done({ dek, algorithm, keyId, thumbprint: key, vault: 'kv-west', failover: false, record: 'a1/1' });
      },
    });
    const items = gates.map((_, index) => ({ database: `db-${index}`, wrappedDek: wrappedText, thumbprint }));
    const asked = wire.call('batch', { params, body: { operation: 'unwrap', items } });
    for (const { resolve } of gates.toReversed()) {
      resolve(undefined);
      await settled();
    }
    const { items: answered } = (await asked).json as unknown as BatchBody;
    expect(answered.map(({ result }) => Buffer.from(String(result?.['dek']), 'base64url')[0])).toEqual(gates.map((_, index) => index));
  });

  test('a defect met by one item is its own problem, and is told to the log; the others stand', async () => {
    const wire = testWire({
      ...goodRoads,
      batch: batchAt(() => 0),
      wrap: (request, context) =>
        request.database === 'poisoned' ? Promise.reject(new TypeError(`Received '${dekText}'`)) : goodRoads.wrap!(request, context),
    });
    const items = Array.from({ length: 200 }, (_, index) => (index === 77 ? { ...good, database: 'poisoned' } : good));
    const answer = await wire.call('batch', { params, body: { operation: 'wrap', items }, headers: { 'x-ms-client-request-id': 'mine' } });
    expect(answer.status).toBe(200);
    const { items: answered } = answer.json as unknown as BatchBody;
    expect(answered[77]?.problem).toMatchObject({ code: 'Internal', status: 500, requestId: 'mine/77' });
    expect(answered.filter(({ result }) => result !== undefined)).toHaveLength(199);
    expect(wire.defects).toMatchObject([{ requestId: 'mine/77', route: 'batch', error: 'TypeError' }]);
    expect(JSON.stringify(wire.defects) + answer.text).not.toContain(dekText);
  });

  test.each(['unwrap', 'rewrap'] as const)('%s takes wrapped DEKs', async (operation) => {
    const { status, body } = await post({ operation, items: [{ database: 'orders', wrappedDek: wrappedText, thumbprint }, good] });
    expect(status).toBe(200);
    expect(body.items[0]?.result).toHaveProperty(operation === 'unwrap' ? 'dek' : 'wrappedDek');
    expect(body.items[1]?.problem).toMatchObject({ code: 'InvalidRequest' });
  });

  test('each item has a request id of its own', async () => {
    const { body } = await post({ operation: 'wrap', items: [good, { ...good, dek: '!' }] });
    expect(body.items[1]?.problem?.requestId).toMatch(/\/1$/);
  });
});

/** The third item has not the form of an operation. */
const request = {
  operation: 'rewrap',
  server: 'sql-demo',
  size: 4,
  database: (index: number) => (index === 2 ? undefined : `db-${index}`),
  item: () => Promise.reject(new Error('no item may be done')),
} as const;

describe('batch: the road', () => {
  const context: RequestContext = { caller: { objectId, roles: new Set(['KeyBroker.Host']) }, requestId: 'r', deadline: 100 };

  test('C5: items whose turn does not come before the deadline are cancelled and say so; those before are kept', async () => {
    let elapsed = 0;
    const outcome = await batchAt(() => elapsed)(
      { ...request, size: 200, item: (index) => Promise.resolve(done((elapsed = index))) },
      context,
    );
    expect(outcome.ok).toBe(true);
    const results = outcome.ok ? outcome.value : [];
    expect(results).toHaveLength(200);
    expect(results[50]).toEqual(done(50));
    const late = results.filter((one) => !one.ok);
    expect(late.length).toBeGreaterThan(0);
    for (const one of late)
      expect(one).toMatchObject({ refusal: { code: 'DeadlineExceeded', detail: expect.stringContaining('cancelled') as unknown } });
  });

  test('P3: each item that is cancelled leaves the record of a single call that found no time; one without the form of an operation none', async () => {
    const records: OperationRecord[] = [];
    const outcome = await batchAt(() => context.deadline, records)(request, context);
    expect(outcome.ok && outcome.value.map((one) => !one.ok && one.refusal.code)).toEqual(
      Array.from({ length: 4 }, () => 'DeadlineExceeded'),
    );
    const common = {
      operation: 'rewrap',
      server: 'sql-demo',
      caller: objectId,
      outcome: 'DeadlineExceeded',
      keyId: null,
      vault: null,
      attempts: [],
    };
    expect(records).toMatchObject([
      { ...common, database: 'db-0', requestId: 'r/0' },
      { ...common, database: 'db-1', requestId: 'r/1' },
      { ...common, database: 'db-3', requestId: 'r/3' },
    ]);
    for (const record of records) expect(record).not.toHaveProperty('items');
  });

  test('P3: an item that is cancelled and can be recorded nowhere is StateUnavailable', async () => {
    const outcome = await batchAt(() => context.deadline, null)({ ...request, size: 1 }, context);
    expect(outcome).toMatchObject({ ok: true, value: [{ ok: false, refusal: { code: 'StateUnavailable' } }] });
  });

  /** How many of a batch's items were under way at most, where each takes as long as is told. */
  async function mostAtOnce(size: number, takesMs: (index: number) => number): Promise<number> {
    const clock = virtualClock();
    let [under, most] = [0, 0];
    const batched = batchAt(() => clock.elapsed())(
      {
        ...request,
        size,
        item: async (index) => {
          most = Math.max(most, ++under);
          await clock.pause(millis(takesMs(index)));
          under -= 1;
          return done(index);
        },
      },
      { ...context, deadline: Infinity },
    );
    await clock.advance(60_000);
    expect(await batched).toEqual(done(Array.from({ length: size }, (_, index) => done(index))));
    return most;
  }

  test.each<[string, number, (index: number) => number, number]>([
    ['500 of 10 ms each', 500, () => 10, 12],
    ['500 of 11 ms each', 500, () => 11, 48],
    ['500 of which no worker has two long ones in a row', 500, (index) => (index % 24 < 12 ? 30 : 1), 12],
    ['5 of a second each', 5, () => 1000, 5],
  ])('memory is bounded: of %s so many are under way at once, and all are done', async (_what, size, takesMs, atOnce) => {
    expect(await mostAtOnce(size, takesMs)).toBe(atOnce);
  });

  test('an item that throws when others have been begun later is the failure of the batch, and of nothing else', async () => {
    const clock = virtualClock();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const item = async (index: number) => {
      await clock.pause(millis(index < 30 ? 20 : 400));
      if (index === 30) throw new Error('a defect');
      return done(index);
    };
    const batched = batchAt(() => clock.elapsed())({ ...request, size: 200, item }, { ...context, deadline: Infinity });
    const failed = expect(batched).rejects.toThrow('a defect');
    await clock.advance(60_000);
    await failed;
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe('batch: refused as a whole', () => {
  const stranger: RequestContext = { caller: { objectId: 'other', roles: new Set(['KeyBroker.Host']) }, requestId: 'r', deadline: 100 };
  test.each([
    ['a caller who is not its principal', {}, 'CallerNotAllowed'],
    ['a server that there is not', { server: 'sql-none' }, 'NotFound'],
    ['a store that is away', { server: 'sql-away' }, 'StateUnavailable'],
  ])('P3: %s: one record tells of it, and of how many items there were', async (_name, change, code) => {
    const records: OperationRecord[] = [];
    const outcome = await batchAt(() => 0, records)({ ...request, size: 1000, ...change }, stranger);
    expect(outcome).toMatchObject({ ok: false, refusal: { code } });
    const told = { operation: 'rewrap', database: null, items: 1000, requestId: 'r', outcome: code, keyId: null, attempts: [] };
    expect(records).toMatchObject([{ ...told, caller: stranger.caller.objectId }]);
  });

  test('P3: a server of its own that is not to be used: each item that has the form of an operation leaves the record of a single call', async () => {
    const records: OperationRecord[] = [];
    const context = { ...stranger, caller: { ...stranger.caller, objectId } };
    const outcome = await batchAt(() => 0, records)({ ...request, server: 'sql-lost' }, context);
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'ServerInaccessible' } });
    const common = { operation: 'rewrap', caller: objectId, outcome: 'ServerInaccessible', keyId: null, attempts: [] };
    expect(records).toMatchObject([
      { ...common, database: 'db-0', requestId: 'r/0' },
      { ...common, database: 'db-1', requestId: 'r/1' },
      { ...common, database: 'db-3', requestId: 'r/3' },
    ]);
    expect(await batchAt(() => 0, null)({ ...request, server: 'sql-lost' }, context)).toMatchObject({
      refusal: { code: 'StateUnavailable' },
    });
  });

  test('P3: one whose body is not read leaves a record of what is known of it', async () => {
    const records: OperationRecord[] = [];
    const { refusal } = refuse('Throttled', 'too many');
    expect(await roadsAt(() => 0, records).refuseBatch('sql-demo', refusal, stranger)).toEqual({ ok: false, refusal });
    const told = {
      operation: 'batch',
      server: 'sql-demo',
      database: null,
      caller: 'other',
      outcome: 'Throttled',
      attempts: [],
      requestId: 'r',
    };
    expect(records).toMatchObject([told]);
    expect(await roadsAt(() => 0, null).refuseBatch('sql-demo', refusal, stranger)).toMatchObject({
      refusal: { code: 'StateUnavailable' },
    });
  });

  test('P3: what can be recorded nowhere is StateUnavailable', async () => {
    const outcome = await batchAt(() => 0, null)(request, stranger);
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'StateUnavailable' } });
  });

  test('P3: over HTTP only items that could have been operations are recorded', async () => {
    const records: OperationRecord[] = [];
    const wire = testWire({ batch: batchAt(() => 0, records) });
    const items = [good, { ...good, dek: '!' }, null, { ...good, database: 'stock' }];
    const answer = await wire.call('batch', { params: { server: 'sql-lost' }, body: { operation: 'wrap', items } });
    expect(answer).toMatchObject({ status: 403, json: { code: 'ServerInaccessible' } });
    const common = { operation: 'wrap', server: 'sql-lost', caller: objectId, outcome: 'ServerInaccessible' };
    expect(records).toMatchObject([
      { ...common, database: 'orders' },
      { ...common, database: 'stock' },
    ]);
  });

  test('P3: over HTTP, and in the list of operations', async () => {
    const records: OperationRecord[] = [];
    const wire = testWire({ batch: batchAt(() => 0, records, 'another') });
    const answer = await wire.call('batch', { params, body: { operation: 'wrap', items: [good, null, { ...good, database: 'stock' }] } });
    expect(answer.status).toBe(403);
    expect(records.map((record) => viewOperation({ ...record, instance: 'instance-1', number: 1 }))).toMatchObject([
      { operation: 'wrap', database: null, items: 3, outcome: 'CallerNotAllowed' },
    ]);
  });
});

/** The road of batches to the servers sql-demo and sql-lost. Records are kept in `records`, or nowhere. */
function batchAt(...how: Parameters<typeof roadsAt>): Roads['batch'] {
  return roadsAt(...how).batch;
}

function roadsAt(elapsed: () => number, records: OperationRecord[] | null = [], principalId = objectId): ReturnType<typeof createBatch> {
  const server = { name: 'sql-demo', principalId, state: 'online', clock: null };
  const registered = { links: [], databases: new Map(), incarnation: 'incarnation-1', revision: 1 };
  const registry = {
    peekServer: (name: string) => (name === 'sql-demo' ? { ...registered, server } : undefined),
    readServer: (name: string) => {
      if (name === 'sql-away') return Promise.reject(new StoreAway('reset'));
      if (name === 'sql-none') return Promise.resolve(undefined);
      const lost = { ...server, name, state: 'needsRevalidation' };
      return Promise.resolve({ ...registered, server: name === 'sql-lost' ? lost : server });
    },
  };
  const operations = { append: (record: OperationRecord) => records?.push(record) ?? null, instance: 'instance-1' };
  return createBatch({ registry, operations, clock: { elapsed, now: () => 0 } } as never);
}
