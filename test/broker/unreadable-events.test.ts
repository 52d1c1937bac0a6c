import { beforeEach, describe, expect, test } from 'vitest';
import { createDeliveries } from '../../src/adapters/tables/deliveries.ts';
import { createEventLog } from '../../src/adapters/tables/event-log.ts';
import type { StoredRow } from '../../src/adapters/tables/table.ts';
import { createDelivery } from '../../src/broker/deliver-events.ts';
import { createUndelivered } from '../../src/broker/delivery-status.ts';
import { readUnheard } from '../../src/broker/unheard-events.ts';
import { instant } from '../../src/domain/time.ts';
import { firstGap, firstState, readableWithin } from '../../src/policy/delivery.ts';
import type { EventLog } from '../../src/ports/events.ts';
import type { Webhooks } from '../../src/ports/webhooks.ts';
import { createMemoryTables, type MemoryTables } from '../support/memory-tables.ts';
import { anEvent, morning } from '../support/stored-values.ts';
import { virtualClock, type VirtualClock } from '../support/virtual-clock.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

/*
 * P2 in a rollout: an older broker that meets, in the log, an event that it cannot read. `heard` is what the receiver heard.
 */
let clock: VirtualClock;
let tables: MemoryTables;
let heard: string[];
let n: number;
beforeEach(() => {
  clock = virtualClock(morning);
  tables = createMemoryTables().open();
  heard = [];
  n = 0;
});

/** One more instance, which knows nothing but what is stored. */
function anInstance() {
  const events = createEventLog(tables, clock);
  const webhooks: Webhooks = {
    targets: [{ name: 'ops', host: 'ops.example', address: 'address' }],
    ask: () => Promise.resolve({ kind: 'taken', value: { ratePerMinute: null } }),
    send: (_target, { id }) => {
      heard.push(id);
      return Promise.resolve({ kind: 'taken', value: null });
    },
  };
  const parts = { clock, events, deliveries: createDeliveries(tables), webhooks, log: () => undefined };
  const { sweep, deliver } = createDelivery(parts);
  return {
    undelivered: createUndelivered(parts),
    publish: (id: string, subject = 'sql-a') => events.publish([anEvent(id, { subject, time: instant(clock.now() + n++) })]),
    /** As the watch does. */
    pass: async () => {
      await sweep();
      await deliver();
    },
  };
}

async function passesFor(one: ReturnType<typeof anInstance>, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += minute) {
    await clock.advance(minute);
    await one.pass();
  }
}

/** Makes the newest event of the log one that only a newer broker can read. @returns what makes it readable. */
async function raiseNewest(): Promise<() => Promise<void>> {
  const table = tables.table('events');
  const row = (await table.beyond('', 1000, () => undefined)).rows.at(-1) as StoredRow;
  await table.write([{ kind: 'put', row: { ...row, columns: { ...row.columns, schema: 9 } } }]);
  return async () => {
    await table.write([{ kind: 'put', row }]);
  };
}

describe('P2: an event that this broker cannot read', () => {
  test('is not passed over by an older instance that is restarted meanwhile, nor by the next: heard when it can be read', async () => {
    let one = anInstance();
    await one.pass();
    await one.publish('newer');
    const mend = await raiseNewest();
    for (let restarts = 0; restarts < 4; restarts += 1) {
      one = anInstance();
      await one.publish(`own-${restarts}`);
      await passesFor(one, 20 * minute);
    }
    expect(heard).toEqual(['own-0', 'own-1', 'own-2', 'own-3']);
    await mend();
    await anInstance().pass();
    expect(heard).toEqual(['own-0', 'own-1', 'own-2', 'own-3', 'newer']);
  });

  test('met for the first time by a pass after which the log is read from further on: not passed over either', async () => {
    const one = anInstance();
    await one.pass();
    await one.publish('newer');
    const mend = await raiseNewest();
    await clock.advance(20 * minute);
    await one.pass();
    await passesFor(one, 20 * minute);
    await mend();
    await one.pass();
    expect(heard).toEqual(['newer']);
  });

  test('what comes behind it waits some minutes for a newer instance, which then tells of all in order', async () => {
    const older = anInstance();
    await older.pass();
    await older.publish('before');
    await older.publish('newer');
    const mend = await raiseNewest();
    await older.publish('after');
    await older.pass();
    await passesFor(older, readableWithin - minute);
    expect(heard).toEqual(['before']);
    await mend();
    await anInstance().pass();
    expect(heard).toEqual(['before', 'newer', 'after']);
  });

  test('what nobody can read in that time holds nothing up', async () => {
    const older = anInstance();
    await older.pass();
    await older.publish('newer');
    await raiseNewest();
    await older.publish('after');
    await passesFor(older, readableWithin + minute);
    await older.publish('later', 'sql-b');
    await older.pass();
    expect(heard).toEqual(['after', 'later']);
  });

  test('while it waits nothing is written', async () => {
    const older = anInstance();
    await older.pass();
    await older.publish('newer');
    await raiseNewest();
    await older.publish('after');
    const before = tables.counts.writes;
    for (let passes = 0; passes < 5; passes += 1) await older.pass();
    expect(tables.counts.writes).toBe(before);
  });

  test('two hundred thousand of them are no defect, and none is passed over', async () => {
    const unreadable = Array.from({ length: 200_000 }, (_, at) => instant(morning + at));
    const events = { ...createEventLog(tables, clock), page: () => Promise.resolve({ items: [], next: null, unreadable }) };
    const unheard = await readUnheard(events, firstState('address', instant(morning)), 500);
    expect(unheard).toEqual({ fresh: [], unreadFrom: null, unreadable });
    expect(firstGap(unheard.unreadable, instant(morning))).toBe(morning);
  });

  test('however many pages hold nothing else, what lies behind is heard', async () => {
    const behind = anEvent('behind', { time: instant(morning + 20) });
    const page: EventLog['page'] = ({ after }) => {
      const n = Number(after ?? 0);
      return Promise.resolve(
        n === 20 ? { items: [behind], next: null, unreadable: [] } : { items: [], next: String(n + 1), unreadable: [instant(morning + n)] },
      );
    };
    const unheard = await readUnheard({ ...createEventLog(tables, clock), page }, firstState('address', instant(morning)), 500);
    expect(unheard).toMatchObject({ fresh: [behind], unreadFrom: null });
    expect(unheard.unreadable).toHaveLength(20);
  });

  test('counts as one that waits, since when it does', async () => {
    const older = anInstance();
    await older.pass();
    await older.publish('newer');
    const mend = await raiseNewest();
    await passesFor(older, 20 * minute);
    expect(await older.undelivered()).toMatchObject({ count: 1, oldestAt: morning, webhooks: [{ name: 'ops', count: 1 }] });
    await mend();
    await older.pass();
    expect(await older.undelivered()).toMatchObject({ count: 0, oldestAt: null });
  });

  test('is given up after three days, as what cannot be delivered is, and hides none that came since', async () => {
    const older = anInstance();
    await older.pass();
    await older.publish('old');
    const mendOld = await raiseNewest();
    await passesFor(older, 2 * day);
    await older.publish('young');
    const mendYoung = await raiseNewest();
    await passesFor(older, day + 20 * minute);
    await mendOld();
    await mendYoung();
    await anInstance().pass();
    expect(heard).toEqual(['young']);
  });

  test('stored under two keys, as in a rollout it may be, it is heard once', async () => {
    const one = anInstance();
    await one.pass();
    await one.publish('twice');
    const table = tables.table('events');
    const [row] = (await table.beyond('', 1)).rows;
    await table.write([{ kind: 'put', row: { ...row!, row: row!.row.replace(':', '~01:') } }]);
    await passesFor(one, 20 * minute);
    expect(heard).toEqual(['twice']);
  });
});
