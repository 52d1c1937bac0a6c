import { describe, expect, test } from 'vitest';
import { batchLineRules, createBatchLine } from '../../src/http/batch-line.ts';
import type { WireRequest } from '../../src/http/body.ts';
import { routes } from '../../src/http/routes.ts';
import { settled } from '../support/virtual-clock.ts';
import { dekText, goodRoads } from '../support/wire-cases.ts';
import { testWire, wireRequest } from '../support/wire.ts';

describe('the line of batches', () => {
  const rules = { atOnce: 3, atOnceOfOne: 2, inLine: 6, inLineOfOne: 4 };

  /** Enters callers one after another and notes who has begun. */
  function entered(...callers: readonly string[]) {
    const line = createBatchLine(rules);
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    const refused: string[] = [];
    const enter = (name: string): void => {
      const turn = line.enter(name[0] ?? '');
      if (turn === undefined) refused.push(name);
      void turn?.then((end) => {
        begun.push(name);
        ends.set(name, end);
      });
    };
    callers.forEach(enter);
    const end = async (name: string): Promise<void> => {
      ends.get(name)?.();
      await settled();
    };
    return { begun, refused, enter, end };
  }

  test('so many are in hand at once; the others follow in the order in which they came', async () => {
    const { begun, end } = entered('a1', 'b1', 'c1', 'd1', 'e1');
    await settled();
    expect(begun).toEqual(['a1', 'b1', 'c1']);
    await end('b1');
    expect(begun).toEqual(['a1', 'b1', 'c1', 'd1']);
    await end('a1');
    expect(begun).toEqual(['a1', 'b1', 'c1', 'd1', 'e1']);
  });

  test('one caller holds up no other: what is beyond its part waits, and those behind it go', async () => {
    const { begun, end } = entered('a1', 'a2', 'a3', 'b1');
    await settled();
    expect(begun).toEqual(['a1', 'a2', 'b1']);
    await end('b1');
    expect(begun).toEqual(['a1', 'a2', 'b1']);
    await end('a1');
    expect(begun).toEqual(['a1', 'a2', 'b1', 'a3']);
  });

  test('a turn that is ended twice lets only one more in', async () => {
    const { begun, end } = entered('a1', 'b1', 'c1', 'd1', 'e1');
    await settled();
    await end('a1');
    await end('a1');
    expect(begun).toEqual(['a1', 'b1', 'c1', 'd1']);
  });

  test('the line is bounded, for one caller and for all; who left has made room', async () => {
    const { begun, refused, enter, end } = entered('a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'c1');
    await settled();
    expect(begun).toEqual(['a1', 'a2', 'b1']);
    expect(refused).toEqual(['a5', 'c1']);
    await end('b1');
    enter('c2');
    expect(refused).toEqual(['a5', 'c1']);
  });
});

describe('batches over the wire', () => {
  const route = routes.find(({ id }) => id === 'batch')!;
  const bodiless = (): WireRequest => ({
    ...wireRequest({ params: { server: 'sql-demo' }, headers: { authorization: 'Bearer KeyBroker.Host' } }),
    body: new ReadableStream(),
  });

  const sent = { params: { server: 'sql-demo' }, body: { operation: 'wrap', items: [{ database: 'orders', dek: dekText }] } };

  /** The wire before batches that end when they are told to. */
  function held() {
    const begun: PromiseWithResolvers<undefined>[] = [];
    const wire = testWire({
      ...goodRoads,
      batch: async (request, context) => {
        const one = Promise.withResolvers<undefined>();
        begun.push(one);
        await one.promise;
        return goodRoads.batch!(request, context);
      },
    });
    return { ...wire, begun };
  }

  test('memory is bounded: a third batch of a caller begins when one of the first two has ended', async () => {
    const { call, begun } = held();
    const asked = [call('batch', sent), call('batch', sent), call('batch', sent)];
    await settled();
    expect(begun).toHaveLength(2);
    begun[0]?.resolve(undefined);
    expect((await Promise.race(asked)).status).toBe(200);
    await settled();
    expect(begun).toHaveLength(3);
    for (const { resolve } of begun) resolve(undefined);
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('a full line is 429 with Retry-After, and single calls go on', async () => {
    const { call, begun, walked } = held();
    const asked = Array.from({ length: batchLineRules.inLineOfOne }, () => call('batch', sent));
    const refused = await call('batch', sent);
    expect(walked.filter(({ road }) => road === 'refuseBatch')).toMatchObject([{ request: 'sql-demo' }]);
    expect(refused).toMatchObject({ status: 429, json: { code: 'Throttled', retryable: true } });
    expect(refused.headers['retry-after']).toBe('5');
    const single = await call('wrap', { params: { server: 'sql-demo', database: 'orders' }, body: { dek: dekText } });
    expect(single.status).toBe(200);
    for (let ended = 0; ended < asked.length; ended += 1) {
      await settled();
      begun[ended]?.resolve(undefined);
    }
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(asked.map(() => 200));
  });

  test('C5: one whose time is over before its turn is not begun', async () => {
    const { call, begun, clock, walked } = held();
    const asked = [call('batch', sent), call('batch', sent), call('batch', sent)];
    await settled();
    clock.advance(60_250);
    const answers = await Promise.all(asked);
    expect(answers.map(({ json }) => json['code'])).toEqual(asked.map(() => 'DeadlineExceeded'));
    for (const { resolve } of begun) resolve(undefined);
    await settled();
    expect(begun).toHaveLength(2);
    expect(walked.filter(({ road }) => road === 'refuseBatch')).toMatchObject([{ request: 'sql-demo' }]);
  });

  test('P3: a full line refuses what names no server as any batch that does', async () => {
    const { call, walked } = held();
    for (let k = 0; k < batchLineRules.inLineOfOne; k += 1) void call('batch', sent);
    expect(await call('batch', { ...sent, params: { server: 'a/b' } })).toMatchObject({ status: 400, json: { code: 'InvalidRequest' } });
    expect(walked.filter(({ road }) => road === 'refuseBatch')).toEqual([]);
  });

  test('C5: bodies that do not come give up their turns when the time is over, and say so', async () => {
    const { call, handle, begun, clock } = held();
    const slow = [handle(route, bodiless()), handle(route, bodiless())];
    const next = call('batch', { ...sent, headers: { 'x-ms-client-request-id': 'next' } });
    await settled();
    clock.advance(59_999);
    await settled();
    expect(begun).toHaveLength(0);
    clock.advance(1);
    const answers = await Promise.all(slow);
    for (const { status, json } of answers)
      expect([status, json['code'], json['detail']]).toEqual([504, 'DeadlineExceeded', expect.stringContaining('the body had not come')]);
    await next;
    const after = call('batch', sent);
    await settled();
    expect(begun).toHaveLength(1);
    begun[0]?.resolve(undefined);
    expect((await after).status).toBe(200);
  });

  test('one whose caller goes away gives up its turn', async () => {
    const { call, handle, begun } = held();
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('aborted')) });
    await Promise.all(
      [handle(route, { ...bodiless(), body: broken }), handle(route, { ...bodiless(), body: broken })].map((one) => one.catch(() => 0)),
    );
    const after = call('batch', sent);
    await settled();
    expect(begun).toHaveLength(1);
    begun[0]?.resolve(undefined);
    expect((await after).status).toBe(200);
  });
});
