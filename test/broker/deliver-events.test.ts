import { describe, expect, test } from 'vitest';
import { createDelivery } from '../../src/broker/deliver-events.ts';
import { createUndelivered } from '../../src/broker/delivery-status.ts';
import type { BrokerEvent } from '../../src/domain/event.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { Instant } from '../../src/domain/time.ts';
import { leaseLasts } from '../../src/policy/delivery.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import type { WebhookAnswer, Webhooks, WebhookTarget } from '../../src/ports/webhooks.ts';
import { createMemoryDeliveries } from '../support/memory-deliveries.ts';
import { createMemoryEventLog } from '../support/memory-event-log.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { anEvent, morning } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;

const taken: WebhookAnswer<null> = { kind: 'taken', value: null };
const down: WebhookAnswer<null> = { kind: 'away', reason: 'cannot be reached: ECONNREFUSED', retryAfterMs: null };
const no: WebhookAnswer<null> = { kind: 'refused', reason: 'answered 400' };

/** Receivers whose answers a test decides, and instances that share one store. */
function aRig(names: readonly string[] = ['ops']) {
  const clock = virtualClock(morning);
  const store = createMemoryStore();
  const events = createMemoryEventLog(store);
  const heard: string[] = [];
  const asked: string[] = [];
  const rig = {
    clock,
    store,
    events,
    heard,
    asked,
    address: 'address',
    answer: (_event: BrokerEvent, _target: WebhookTarget): WebhookAnswer<null> | Promise<WebhookAnswer<null>> => taken,
    agreement: { kind: 'taken', value: { ratePerMinute: null } } as Awaited<ReturnType<Webhooks['ask']>>,
    logged: [] as string[],
    sweep: (): Promise<Instant | null> => Promise.resolve(null),
    instance() {
      const webhooks: Webhooks = {
        targets: names.map((name) => ({ name, host: `${name}.example`, address: rig.address })),
        ask: async (target) => {
          asked.push(target.name);
          return Promise.resolve(rig.agreement);
        },
        send: async (target, event) => {
          const answer = await rig.answer(event, target);
          heard.push(names.length === 1 ? event.id : `${target.name}:${event.id}`);
          return answer;
        },
      };
      const deliveries = createMemoryDeliveries(store);
      const parts = {
        clock,
        events: { ...events, sweep: () => rig.sweep() },
        deliveries,
        webhooks,
        log: (_level: string, message: string) => void rig.logged.push(message),
      };
      const delivery = createDelivery(parts);
      return {
        deliveries,
        undelivered: createUndelivered(parts),
        deliver: delivery.deliver,
        /** As the watch does: all that was announced is published. */
        pass: async () => {
          await delivery.sweep();
          await delivery.deliver();
        },
      };
    },
    async publish(id: string, subject = 'sql-a', time = clock.now()) {
      await events.publish([anEvent(id, { subject, time: instant(time) })]);
    },
  };
  return rig;
}

/** Passes every 15 s, as the watch makes them, for `ms`. */
async function passesFor(rig: ReturnType<typeof aRig>, one: { pass: () => Promise<void> }, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 15 * second) {
    await rig.clock.advance(15 * second);
    await one.pass();
  }
}

async function started(names?: readonly string[]) {
  const rig = aRig(names);
  const one = rig.instance();
  await one.pass();
  return { rig, one };
}

async function readsOf({ store }: ReturnType<typeof aRig>, work: () => Promise<unknown>): Promise<number> {
  const before = store.counts.reads;
  await work();
  return store.counts.reads - before;
}

describe('P2: each webhook hears each event', () => {
  test('in order, each once while nothing fails; what happened before the webhook was configured is not told', async () => {
    const rig = aRig();
    await rig.publish('before', 'sql-a', instant(morning - minute));
    const one = rig.instance();
    await one.pass();
    for (const id of ['e1', 'e2', 'e3']) {
      await rig.clock.advance(second);
      await rig.publish(id);
    }
    await one.pass();
    await passesFor(rig, one, 20 * minute);
    expect(rig.heard).toEqual(['e1', 'e2', 'e3']);
    expect(rig.asked).toEqual(['ops']);
  });

  test('an event that arrives late, at its own time, behind what was delivered already, is heard, and nothing twice', async () => {
    const { rig, one } = await started();
    await rig.clock.advance(10 * minute);
    await one.pass();
    await rig.publish('e2');
    await one.pass();
    await rig.publish('late', 'sql-b', instant(rig.clock.now() - minute));
    await one.pass();
    expect(rig.heard).toEqual(['e2', 'late']);
  });

  test('while no sweep is known to have ended the log is read from the same place', async () => {
    const { rig, one } = await started();
    await rig.publish('e1');
    await rig.clock.advance(30 * minute);
    await one.deliver();
    const other = rig.instance();
    await rig.clock.advance(30 * minute);
    await other.deliver();
    await rig.publish('late', 'sql-b', instant(morning + 1));
    await other.deliver();
    expect(rig.heard).toEqual(['e1', 'late']);
  });

  test('where the sweep fails webhooks hear all the same, and the log is read from the same place', async () => {
    const { rig, one } = await started();
    rig.sweep = () => Promise.reject(new StoreAway('one place does not answer'));
    await rig.publish('e1');
    await rig.clock.advance(30 * minute);
    await one.pass();
    expect(rig.logged).toEqual(['the sweep of announced events waits for the store']);
    await rig.clock.advance(30 * minute);
    await one.pass();
    await rig.publish('late', 'sql-b', instant(morning + 1));
    await one.pass();
    expect(rig.heard).toEqual(['e1', 'late']);
  });

  /** What a receiver heard for which a thing happened each `every` ms for `ms`, while what happened at the start cannot be published; then it is. */
  async function publishedAfter(ms: number, every: number): Promise<readonly string[]> {
    const { rig, one } = await started();
    const since = rig.clock.now();
    rig.sweep = () => Promise.resolve(since);
    const pause = Math.max(minute, every);
    for (let passed = 0, n = 0; passed < ms; passed += pause) {
      for (let at = 0; at < pause; at += every, n += 1) await rig.publish(`e${n}`, `sql-${n}`, instant(rig.clock.now() + at));
      await rig.clock.advance(pause);
      await one.pass();
    }
    rig.sweep = () => Promise.resolve(null);
    await rig.publish('left behind', 'sql-a', since);
    await one.pass();
    await passesFor(rig, one, 10 * minute);
    expect(new Set(rig.heard).size).toBe(rig.heard.length);
    return rig.heard;
  }

  test('what cannot be published for an hour is heard when it is', async () => {
    expect(await publishedAfter(60 * minute, 10 * second)).toContain('left behind');
  });

  test('what cannot be published holds nothing up: where too much comes after it, it is not waited for any longer', async () => {
    const heard = await publishedAfter(60 * minute, second);
    expect(heard).toHaveLength(3600);
    expect(heard).not.toContain('left behind');
  });

  test('what cannot be published for three days is given up as what cannot be delivered is', async () => {
    expect(await publishedAfter(3 * day - 60 * minute, 30 * minute)).toContain('left behind');
    expect(await publishedAfter(3 * day + 60 * minute, 30 * minute)).not.toContain('left behind');
  });

  test('two instances at once: one delivers, and nobody hears anything twice', async () => {
    const { rig, one } = await started();
    const other = rig.instance();
    for (let n = 0; n < 50; n += 1) await rig.publish(`e${n}`, `sql-${n % 3}`, instant(morning + n));
    await Promise.all([one.pass(), other.pass(), one.pass()]);
    await other.pass();
    expect(rig.heard).toHaveLength(50);
    expect(new Set(rig.heard).size).toBe(50);
  });

  test('a killed instance: its lease lapses, and the next one goes on; at least once, in order', async () => {
    const { rig, one } = await started();
    for (let n = 0; n < 3; n += 1) await rig.publish(`e${n}`, 'sql-a', instant(morning + n));
    rig.answer = ({ id }) => (id === 'e1' ? new Promise(() => undefined) : taken);
    void one.pass();
    await rig.clock.advance(second);
    rig.answer = () => taken;
    const other = rig.instance();
    await other.pass();
    expect(rig.heard).toEqual(['e0']);
    await rig.clock.advance(leaseLasts);
    await other.pass();
    expect(rig.heard).toEqual(['e0', 'e0', 'e1', 'e2']);
  });
});

describe('P2: receivers that fail', () => {
  test('down for a day: tried at most every five minutes, then all is heard in order within six', async () => {
    const { rig, one } = await started();
    rig.answer = () => down;
    for (let n = 0; n < 5; n += 1) await rig.publish(`e${n}`, `sql-${n}`, instant(morning + n));
    await passesFor(rig, one, day);
    expect(rig.heard.length).toBeLessThan((day / minute) * 0.5);
    expect(rig.heard.length).toBeGreaterThan(day / (6 * minute));
    expect(await one.undelivered()).toMatchObject({
      count: 5,
      dead: 0,
      webhooks: [{ state: 'failing', reason: 'cannot be reached: ECONNREFUSED' }],
    });
    rig.heard.length = 0;
    rig.answer = () => taken;
    await passesFor(rig, one, 6 * minute);
    expect(rig.heard).toEqual(['e0', 'e1', 'e2', 'e3', 'e4']);
    expect(await one.undelivered()).toMatchObject({ count: 0, oldestAt: null, webhooks: [{ state: 'working' }] });
  });

  test('a dead receiver slows no other', async () => {
    const { rig, one } = await started(['dead', 'live']);
    rig.answer = (_event, { name }) => (name === 'dead' ? new Promise(() => undefined) : taken);
    await rig.publish('e1');
    void one.pass();
    await rig.clock.advance(second);
    expect(rig.heard).toEqual(['live:e1']);
    await rig.publish('e2');
    void one.pass();
    await rig.clock.advance(second);
    expect(rig.heard).toEqual(['live:e1', 'live:e2']);
  });

  test('an event that is refused holds up its own subject only, and is tried again', async () => {
    const { rig, one } = await started();
    rig.answer = ({ id }) => (id === 'a1' ? no : taken);
    for (const [id, subject] of [
      ['b1', 'sql-b'],
      ['a1', 'sql-a'],
      ['a2', 'sql-a'],
      ['b2', 'sql-b'],
    ] as const) {
      await rig.clock.advance(1);
      await rig.publish(id, subject);
    }
    await one.pass();
    expect(rig.heard).toEqual(['b1', 'a1', 'b2']);
    expect(await one.undelivered()).toMatchObject({ count: 2, webhooks: [{ state: 'refusing', reason: 'answered 400' }] });
    rig.heard.length = 0;
    rig.answer = () => taken;
    await rig.publish('a3');
    await passesFor(rig, one, minute);
    expect(rig.heard).toEqual(['a1', 'a2', 'a3']);
  });

  test('refused for three days while others are taken: a dead letter, and its subject goes on', async () => {
    const { rig, one } = await started();
    rig.answer = ({ id }) => (id === 'a1' ? no : taken);
    await rig.publish('b1', 'sql-b');
    await rig.clock.advance(1);
    await rig.publish('a1');
    await rig.publish('a2', 'sql-a', instant(rig.clock.now() + 1));
    await passesFor(rig, one, 3 * day - 10 * minute);
    expect(rig.heard).not.toContain('a2');
    await passesFor(rig, one, 20 * minute);
    expect(rig.heard.filter((id) => id === 'a2')).toEqual(['a2']);
    expect(await one.undelivered()).toMatchObject({
      count: 0,
      dead: 1,
      deadLetters: [{ webhook: 'ops', id: 'a1', subject: 'sql-a', reason: 'answered 400' }],
    });
  });

  test('down for longer than three days: what is older is given up, what is younger is heard', async () => {
    const { rig, one } = await started();
    rig.answer = () => down;
    await rig.publish('old');
    await passesFor(rig, one, 2 * day);
    await rig.publish('young');
    await passesFor(rig, one, day + 20 * minute);
    rig.heard.length = 0;
    rig.answer = () => taken;
    await passesFor(rig, one, 6 * minute);
    expect(rig.heard).toEqual(['young']);
    expect(await one.undelivered()).toMatchObject({ count: 0, dead: 1, deadLetters: [{ id: 'old' }] });
    expect(rig.logged).toContain('events were given up');
  });

  test('410: nothing more is sent, the status and the log say so', async () => {
    const { rig, one } = await started();
    rig.answer = () => ({ kind: 'gone' });
    await rig.publish('e1');
    await rig.publish('e2', 'sql-b', instant(morning + 1));
    await passesFor(rig, one, 60 * minute);
    expect(rig.heard).toEqual(['e1']);
    expect(await one.undelivered()).toMatchObject({ count: 2, webhooks: [{ state: 'stopped' }] });
    expect((await one.undelivered()).webhooks[0]?.reason).toMatch(/until its URL or KEYBROKER_WEBHOOK_ORIGIN is another/);
    expect(rig.logged).toEqual(['a webhook answered 410: nothing is sent there until its URL or the origin is another']);
  });

  test('410: what waits for three days is given up, what is younger is heard at another address', async () => {
    const { rig, one } = await started();
    rig.answer = () => ({ kind: 'gone' });
    await rig.publish('old');
    await passesFor(rig, one, 2 * day);
    await rig.publish('young', 'sql-b');
    await passesFor(rig, one, day + minute);
    expect(rig.heard).toEqual(['old']);
    expect(await one.undelivered()).toMatchObject({
      count: 1,
      dead: 1,
      webhooks: [{ state: 'stopped' }],
      deadLetters: [{ id: 'old', reason: 'answered 410' }],
    });
    expect(rig.logged).toEqual([
      'a webhook answered 410: nothing is sent there until its URL or the origin is another',
      'events were given up',
    ]);
    rig.answer = () => taken;
    rig.address = 'another address';
    await rig.instance().pass();
    expect(rig.heard).toEqual(['old', 'young']);
    expect(rig.asked).toEqual(['ops', 'ops']);
  });

  test('of the dead letters the last are listed, the newest first, and all are counted and kept', async () => {
    const { rig, one } = await started();
    rig.answer = () => down;
    await rig.publish('first');
    await passesFor(rig, one, minute);
    for (let n = 0; n < 30; n += 1) await rig.publish(`e${n}`, 'sql-a', instant(rig.clock.now() + n));
    await passesFor(rig, one, 3 * day + 10 * minute);
    const { dead, deadLetters } = await one.undelivered();
    expect(dead).toBe(31);
    expect(deadLetters.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, n) => `e${29 - n}`));
    expect(await one.deliveries.deadLetters('ops', 100)).toHaveLength(31);
  });

  test('dead letters of a row that is older than their list are listed all the same', async () => {
    const { rig, one } = await started();
    const letter = { event: anEvent('old'), diedAt: instant(morning), reason: 'answered 500' };
    await one.deliveries.bury('ops', [letter]);
    await one.deliveries.change('ops', (stored) => (stored === undefined ? null : { ...stored, deadLetters: 1 }));
    const reads = await readsOf(rig, async () => {
      for (let looks = 0; looks < 3; looks += 1)
        expect(await one.undelivered()).toMatchObject({ dead: 1, deadLetters: [{ id: 'old', diedAt: morning }] });
    });
    // Thrice the state and the log, once the letters.
    expect(reads).toBe(7);
    expect(rig.heard).toEqual([]);
  });

  test('where none was given up the status looks for none', async () => {
    const { rig, one } = await started();
    expect(await readsOf(rig, () => one.undelivered())).toBe(2);
  });

  test('what cannot be read costs its own webhook alone, and is told once', async () => {
    const { rig, one } = await started(['bad', 'well']);
    rig.store.before = (_access, key) => {
      if (key === 'delivery/bad') throw new Unreadable('row `state` has schema 9');
    };
    await rig.publish('e1');
    await passesFor(rig, one, minute);
    expect(rig.heard).toEqual(['well:e1']);
    expect(rig.logged).toEqual(['the delivery to a webhook waits: a row cannot be read']);
    expect((await one.undelivered()).webhooks).toMatchObject([
      { name: 'bad', state: 'unknown', reason: 'row `state` has schema 9', count: 0 },
      { name: 'well', state: 'working' },
    ]);
    rig.store.before = undefined;
    await passesFor(rig, one, minute);
    expect(rig.heard).toEqual(['well:e1', 'bad:e1']);
  });

  test('a receiver that names a time is left alone until then', async () => {
    const { rig, one } = await started();
    rig.answer = () => ({ kind: 'away', reason: 'answered 503', retryAfterMs: millis(20 * minute) });
    await rig.publish('e1');
    await passesFor(rig, one, 19 * minute);
    expect(rig.heard).toHaveLength(1);
    await passesFor(rig, one, 2 * minute);
    expect(rig.heard).toHaveLength(2);
  });

  test('a receiver that did not agree hears nothing; its pace is kept once it did', async () => {
    const { rig, one } = await started();
    rig.agreement = { kind: 'away', reason: 'does not allow events', retryAfterMs: null };
    for (let n = 0; n < 4; n += 1) await rig.publish(`e${n}`, 'sql-a', instant(morning + n));
    await passesFor(rig, one, 10 * minute);
    expect(rig.heard).toEqual([]);
    rig.agreement = { kind: 'taken', value: { ratePerMinute: 1 } };
    // A pass that keeps a pace waits on the clock: it cannot be awaited by who moves the clock.
    const sentAt: number[] = [];
    rig.answer = () => {
      sentAt.push(rig.clock.now());
      return taken;
    };
    for (let n = 0; n < 60; n += 1) {
      void one.pass();
      await rig.clock.advance(15 * second);
    }
    const apart = sentAt.slice(1).map((at, n) => at - (sentAt[n] ?? 0));
    expect(Math.min(...apart)).toBeGreaterThanOrEqual(minute);
    expect(rig.heard).toEqual(['e0', 'e1', 'e2', 'e3']);
  });

  test('store away: the pass ends with a word in the log, and nothing is lost', async () => {
    const { rig, one } = await started();
    await rig.publish('e1');
    rig.store.away = true;
    await one.pass();
    rig.store.away = false;
    await one.pass();
    expect(rig.heard).toEqual(['e1']);
    expect(rig.logged).toEqual(['the delivery to a webhook waits for the store']);
  });
});
