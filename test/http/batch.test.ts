import { describe, expect, test } from 'vitest';
import { createBatch } from '../../src/broker/batch.ts';
import type { RequestContext } from '../../src/domain/caller.ts';
import { done, refuse } from '../../src/domain/refusal.ts';
import { dekText, goodRoads, thumbprint, wrappedText } from '../support/wire-cases.ts';
import { testWire } from '../support/wire.ts';

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
    expect(body.items[1]?.problem?.detail).toMatch(/^dek: /);
    expect(body.items[3]?.problem?.detail).toMatch(/^server: /);
    expect(body.items[9]?.problem?.detail).toMatch(/^algorithm: /);
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

describe('batch: the road', () => {
  const context: RequestContext = { caller: { objectId: 'host', roles: new Set(['KeyBroker.Host']) }, requestId: 'r', deadline: 100 };

  function batchAt(elapsed: () => number) {
    const server = { name: 'sql-demo', principalId: 'host', state: 'online', clock: null };
    const registry = {
      peekServer: () => ({ server, links: [], databases: new Map(), incarnation: 'incarnation-1', revision: 1 }),
      readServer: () => Promise.resolve(undefined),
    };
    return createBatch({ registry, clock: { elapsed, now: () => 0 } } as never).batch;
  }

  test('C5: items whose turn does not come before the deadline are cancelled and say so; those before are kept', async () => {
    let elapsed = 0;
    const outcome = await batchAt(() => elapsed)(
      { server: 'sql-demo', size: 200, item: (index) => Promise.resolve(done((elapsed = index))) },
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

  test('memory is bounded: at most 48 items are under way at once', async () => {
    let under = 0;
    let most = 0;
    await batchAt(() => 0)(
      {
        server: 'sql-demo',
        size: 500,
        item: async () => {
          most = Math.max(most, ++under);
          await Promise.resolve();
          under -= 1;
          return refuse('NotFound', 'no such database');
        },
      },
      context,
    );
    expect(most).toBe(48);
  });

  test('a caller who is not the principal of the server is refused as a whole', async () => {
    const stranger = { ...context, caller: { ...context.caller, objectId: 'other' } };
    const outcome = await batchAt(() => 0)({ server: 'sql-demo', size: 1, item: () => Promise.resolve(done(1)) }, stranger);
    expect(outcome).toMatchObject({ ok: false });
  });
});
