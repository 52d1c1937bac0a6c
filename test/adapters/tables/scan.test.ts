import { beforeEach, describe, expect, it } from 'vitest';
import { createEventLog } from '../../../src/adapters/tables/event-log.ts';
import { dayOf, eventKey, eventRow } from '../../../src/adapters/tables/event-rows.ts';
import { chunks, type Row } from '../../../src/adapters/tables/table.ts';
import { readUnheard } from '../../../src/broker/unheard-events.ts';
import { instant } from '../../../src/domain/time.ts';
import { firstState } from '../../../src/policy/delivery.ts';
import type { EventLog } from '../../../src/ports/events.ts';
import { allEvents, unreadableOf } from '../../contract/event-log.ts';
import { createMemoryTables, type MemoryTables } from '../../support/memory-tables.ts';
import { anEvent, morning } from '../../support/stored-values.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

/*
 * A log full of rows that only a newer broker can read, as after a rollout that was taken back.
 */
let tables: MemoryTables;
let log: EventLog;
let told: Readonly<Record<string, unknown>>[];
beforeEach(() => {
  tables = createMemoryTables().open();
  told = [];
  log = createEventLog(tables, virtualClock(morning), undefined, (_level, _message, about) => void told.push(about));
});

function newer(n: number): Row {
  const event = anEvent(`newer-${n}`, { time: instant(morning + n) });
  const row = eventRow({ key: eventKey(event), event });
  return { ...row, columns: { ...row.columns, schema: 9 } };
}

async function store(rows: readonly Row[]): Promise<void> {
  for (const run of chunks(rows)) await tables.table('events').write(run.map((row) => ({ kind: 'put', row })));
}

async function readsOf<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly reads: number }> {
  const before = tables.counts.reads;
  return { value: await work(), reads: tables.counts.reads - before };
}

const first = { after: null, limit: 1, since: null, subject: null };

describe('a log of four thousand rows that cannot be read, and one that can', () => {
  const many = Array.from({ length: 4000 }, (_, n) => newer(n));
  const last = anEvent('readable', { time: instant(morning + 4000) });
  beforeEach(async () => {
    await store(many);
    await log.publish([last]);
  });

  it('costs a page of one item a few reads and one line of the log', async () => {
    const { value, reads } = await readsOf(() => log.page(first));
    expect(value.items).toEqual([last]);
    expect(value.unreadable).toHaveLength(4000);
    expect(reads).toBeLessThan(16);
    const reason = expect.stringContaining('schema') as unknown;
    expect(told).toEqual([{ row: many[0]!.row, rows: 4000, to: many.at(-1)!.row, reason }]);
    await log.page(first);
    expect(told).toHaveLength(1);
  });
});

describe('a log of so many rows that cannot be read that one page may not pass them all', () => {
  const many = 25_000;
  const last = anEvent('readable', { time: instant(morning + many) });
  beforeEach(async () => {
    await store(Array.from({ length: many }, (_, n) => newer(n)));
    await log.publish([last]);
  });

  it('gives pages that end, without an item, behind what was looked at; all of them together pass over nothing', async () => {
    const { value, reads } = await readsOf(() => log.page(first));
    expect(value).toMatchObject({ items: [], next: expect.stringContaining('~') as unknown });
    expect(log.isCursor(value.next ?? '')).toBe(true);
    expect(value.unreadable.length).toBeLessThan(11_000);
    expect(reads).toBeLessThan(32);
    expect(await allEvents(log, 1)).toEqual([last]);
    expect(await unreadableOf(log, 1)).toEqual(Array.from({ length: many }, (_, n) => morning + n));
  });

  it('P2: hides from a webhook nothing that lies behind, and none of them is passed over', async () => {
    const unheard = await readUnheard(log, firstState('address', instant(morning)), 500);
    expect(unheard).toMatchObject({ fresh: [last], unreadFrom: null });
    expect(unheard.unreadable).toHaveLength(many);
  });
});

it('a page ends behind no row whose key no cursor can hold: what lies behind is on it', async () => {
  const foreign = Array.from({ length: 10_500 }, (_, n) => ({ ...newer(n), partition: dayOf(morning), row: `${newer(n).row}-foreign` }));
  await store(foreign);
  const last = anEvent('readable', { time: instant(morning + 20_000) });
  await log.publish([last]);
  expect(await log.page(first)).toMatchObject({ items: [last], next: null });
});
