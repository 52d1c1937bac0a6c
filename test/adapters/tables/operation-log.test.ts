import { beforeEach, describe, expect, it } from 'vitest';
import { StoreRefused } from '../../../src/ports/store.ts';
import { createOperationLog } from '../../../src/adapters/tables/operation-log.ts';
import { isOperationCursor } from '../../../src/adapters/tables/operation-rows.ts';
import type { Row } from '../../../src/adapters/tables/table.ts';
import { allRecords } from '../../contract/operation-log.ts';
import { createMemoryTables, type MemoryTables } from '../../support/memory-tables.ts';
import { collectingLog } from '../../support/store-rigs.ts';
import { aRecord, morning } from '../../support/stored-values.ts';
import { settled, virtualClock, type VirtualClock } from '../../support/virtual-clock.ts';

describe('group commit', () => {
  let clock: VirtualClock;
  let tables: MemoryTables;
  let lines: ReturnType<typeof collectingLog>;
  let log: ReturnType<typeof createOperationLog>;
  beforeEach(() => {
    clock = virtualClock(morning);
    tables = createMemoryTables().open();
    lines = collectingLog();
    log = createOperationLog(tables, { clock, instance: 'i1', log: lines.log });
  });

  async function rows(): Promise<readonly Row[]> {
    return (await tables.table('operations').beyond('', 1000)).rows;
  }

  async function numbers(): Promise<readonly number[]> {
    return (await allRecords(log, 1000)).map(({ number }) => number);
  }

  it('P3: records are stored within 200 ms without being asked to, many in one write of one row', async () => {
    for (let number = 0; number < 500; number += 1) log.append(aRecord());
    await clock.advance(99);
    expect(tables.counts.writes).toBe(0);
    await clock.advance(101);
    expect(tables.counts.writes).toBe(1);
    expect((await rows()).map(({ columns }) => [columns['from'], columns['to'], columns['issued']])).toEqual([['1', '500', '500']]);
    expect(clock.pending).toBe(0);
  });

  it('P3: what comes during a write is stored within 200 ms of its own', async () => {
    tables.beforeWrite = () => {
      tables.beforeWrite = undefined;
      log.append(aRecord());
    };
    log.append(aRecord());
    await clock.advance(100);
    expect(await numbers()).toEqual([1]);
    await clock.advance(100);
    expect(await numbers()).toEqual([1, 2]);
    expect((await rows()).map(({ columns }) => columns['issued'])).toEqual(['1', '2']);
  });

  it("a group too large for one row becomes several, in order, each below the store's bound", async () => {
    for (let number = 0; number < 3000; number += 1) log.append(aRecord({ requestId: `${number}`.padStart(300, 'r') }));
    await log.flush();
    const stored = await rows();
    expect(stored.length).toBeGreaterThan(1);
    for (const { columns } of stored) {
      const lengths = Object.values(columns).map((value) => String(value).length);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(32_768);
      expect(lengths.reduce((sum, length) => sum + length, 0) * 2).toBeLessThan(1_000_000);
    }
    expect(await numbers()).toEqual(Array.from({ length: 3000 }, (_, index) => index + 1));
  });

  it('P3: after an insert without an answer the same row is inserted again: no number is stored twice, order is kept', async () => {
    log.append(aRecord());
    tables.loseNextAnswer();
    await clock.advance(100);
    log.append(aRecord());
    expect(log.backlog()).toEqual({ issued: 2, waiting: 2, spilled: 0 });
    await clock.advance(1000);
    expect(log.backlog().waiting).toBe(0);
    expect(await numbers()).toEqual([1, 2]);
  });

  it('store away: tries again, ever more rarely, at least every 5 s; everything is stored soon after it is back', async () => {
    tables.away = true;
    log.append(aRecord());
    let tries = 0;
    tables.beforeWrite = () => void (tries += 1);
    await clock.advance(60_000);
    expect(tries).toBeGreaterThan(12);
    expect(tries).toBeLessThan(22);
    tables.away = false;
    await clock.advance(5000);
    expect(await numbers()).toEqual([1]);
  });

  it('P3: the numbers of a killed instance show what was lost: the end of its rows lies below what it gave out', async () => {
    for (let number = 0; number < 3; number += 1) log.append(aRecord());
    await clock.advance(200);
    expect(log.append(aRecord())).toBe(4);
    tables.dieAfterWrites(0);
    await clock.advance(1000);
    const survivor = createOperationLog(tables, { clock, instance: 'i2', log: lines.log });
    tables.dieAfterWrites(Infinity);
    const last = (await allRecords(survivor, 100)).at(-1);
    expect(last).toMatchObject({ instance: 'i1', number: 3 });
  });

  it('a row that the store will never take goes to the log, and does not hold up those behind it', async () => {
    log.append(aRecord({ requestId: 'poison' }));
    tables.beforeWrite = () => {
      tables.beforeWrite = undefined;
      throw new StoreRefused('the store answered 400: InvalidInput');
    };
    await clock.advance(100);
    log.append(aRecord({ requestId: 'sound' }));
    await clock.advance(200);
    expect(lines.spilled.map(({ number, requestId }) => [number, requestId])).toEqual([[1, 'poison']]);
    expect(await numbers()).toEqual([2]);
    expect(log.backlog()).toEqual({ issued: 2, waiting: 0, spilled: 1 });
  });

  it('close stores what waits, and writes to the log what the store does not take, also what comes later', async () => {
    log.append(aRecord());
    tables.away = true;
    await log.close();
    log.append(aRecord());
    expect(lines.spilled.map(({ number }) => number)).toEqual([1, 2]);
    await clock.advance(60_000);
    await settled();
    expect(clock.pending).toBe(0);
  });

  it('a flush while a write is under way also stores what came since', async () => {
    log.append(aRecord());
    let late: Promise<void> | undefined;
    tables.beforeWrite = () => {
      tables.beforeWrite = undefined;
      log.append(aRecord());
      late = log.flush();
    };
    await log.flush();
    await late;
    expect(await numbers()).toEqual([1, 2]);
  });

  it('cursors have one form, and a malformed one gives an empty page', async () => {
    for (let number = 0; number < 3; number += 1) log.append(aRecord());
    await log.flush();
    const { next } = await log.page({ after: null, limit: 2, since: null, server: null });
    expect(isOperationCursor(next ?? '')).toBe(true);
    for (const malformed of ['', 'x', `${next}x`, `${next}~1`, "2026-11-22T06~' or 1 eq 1~0", '9'.repeat(5000)]) {
      expect(isOperationCursor(malformed)).toBe(false);
      expect(await log.page({ after: malformed, limit: 2, since: null, server: null })).toEqual({ items: [], next: null, unreadable: [] });
    }
  });

  /** Spoils the rows of the log whose records begin with these numbers. */
  async function spoil(numbersFrom: readonly string[], columns: Row['columns']): Promise<readonly Row[]> {
    const spoilt = (await rows()).filter((row) => numbersFrom.includes(String(row.columns['from'])));
    for (const row of spoilt)
      await tables.table('operations').write([{ kind: 'put', row: { ...row, columns: { ...row.columns, ...columns } } }]);
    return spoilt;
  }

  it.each([
    // The read leaves the first out; the second is met when its page is.
    ['a newer schema', { schema: 9 }, 1],
    ['text that no broker wrote', { json: '[' }, 2],
    ['a run that no broker wrote', { json: '[{"attempts":[1]}]' }, 2],
  ])(
    'P3: a row that cannot be read, %s, costs its own records alone: its page says what it lacks, and the log once of all',
    async (_what, columns, linesTold) => {
      const told: unknown[] = [];
      const reading = createOperationLog(tables, {
        clock,
        instance: 'i2',
        log: lines.log,
        tell: (_l, what, { reason, ...rows }) => void told.push([what, rows, typeof reason]),
      });
      for (let group = 0; group < 4; group += 1) {
        for (let record = 0; record < 2; record += 1) log.append(aRecord());
        await log.flush();
        await clock.advance(1000);
      }
      const spoilt = await spoil(['3', '7'], columns);
      const times = [morning + 1000, morning + 3000];
      for (const limit of [1, 2, 3, 100]) {
        const seen: number[] = [];
        const missing: number[] = [];
        let after: string | null = null;
        do {
          const page = await reading.page({ after, limit, since: null, server: null });
          seen.push(...page.items.map(({ number }) => number));
          missing.push(...page.unreadable);
          after = page.next;
        } while (after !== null);
        expect(seen).toEqual([1, 2, 5, 6]);
        expect(missing).toEqual(times);
      }
      const [row, to] = spoilt.map((one) => one.row);
      const about = linesTold === 1 ? [{ row, rows: 2, to }] : [{ row }, { row: to }];
      expect(told).toEqual(about.map((rows) => ['records of key operations cannot be read', rows, 'string']));
    },
  );

  it('P3: a page that goes on within a row which this broker cannot read says what it lacks: a newer one gave the page before', async () => {
    for (let record = 0; record < 4; record += 1) log.append(aRecord());
    await log.flush();
    const first = await log.page({ after: null, limit: 2, since: null, server: null });
    const behind = await log.page({ after: first.next, limit: 2, since: null, server: null });
    expect([first, behind].map(({ items }) => items.map(({ number }) => number))).toEqual([
      [1, 2],
      [3, 4],
    ]);
    await spoil(['1'], { schema: 9 });
    const after = { limit: 2, since: null, server: null };
    expect(await log.page({ ...after, after: first.next })).toEqual({ items: [], next: null, unreadable: [morning] });
  });

  it('a filter that lets nothing through ends a page after a bounded number of rows, with a cursor to go on from', async () => {
    const operations = tables.table('operations');
    const single = createOperationLog(tables, { clock, instance: 'i3', log: lines.log });
    single.append(aRecord({ server: 'sql-a' }));
    await single.flush();
    const [template] = (await operations.beyond('', 1)).rows;
    for (let number = 2; number <= 12_000; number += 1) {
      const row = template!.row.replace(/\d{15}$/, String(number).padStart(15, '0'));
      await operations.write([{ kind: 'insert', row: { ...template!, row } }]);
    }
    const first = await single.page({ after: null, limit: 10, since: null, server: 'sql-b' });
    expect(first.items).toEqual([]);
    expect(isOperationCursor(first.next ?? '')).toBe(true);
    // The row with which the page ends: the cursor behind it asks nothing of what is in it.
    const row = first.next!.split('~')[1]!;
    await operations.write([{ kind: 'put', row: { ...template!, row, columns: { ...template!.columns, json: '[' } } }]);
    expect(await single.page({ after: null, limit: 10, since: null, server: 'sql-b' })).toEqual({ ...first, unreadable: [morning] });
    expect(await single.page({ after: first.next, limit: 10, since: null, server: 'sql-b' })).toEqual({
      items: [],
      next: null,
      unreadable: [],
    });
  });
});
