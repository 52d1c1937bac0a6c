import { beforeEach, describe, expect, it } from 'vitest';
import { createBudgetLedger } from '../../../src/adapters/tables/budget-ledger.ts';
import type { BudgetRow } from '../../../src/domain/budget.ts';
import type { BudgetLedger, KnownBy } from '../../../src/ports/budget-ledger.ts';
import { rowOf } from '../../contract/budget-ledger.ts';
import { createMemoryTables } from '../../support/memory-tables.ts';
import type { MemoryTables } from '../../support/memory-tables.ts';
import { virtualClock } from '../../support/virtual-clock.ts';
import type { VirtualClock } from '../../support/virtual-clock.ts';

let clock: VirtualClock;
let tables: MemoryTables;
let ledger: BudgetLedger;
let other: BudgetLedger;
let known: KnownBy[];

beforeEach(() => {
  clock = virtualClock();
  const store = createMemoryTables();
  tables = store.open();
  ledger = createBudgetLedger(tables, clock);
  other = createBudgetLedger(store.open(), clock);
  known = [];
});

/** Changes the row once a while. @returns how often it was read for that. */
async function readsOf(changes: number, everyMs: number, row: BudgetRow): Promise<number> {
  const before = tables.counts.reads;
  for (let i = 0; i < changes; i += 1) {
    await change(row);
    await clock.advance(everyMs);
  }
  return tables.counts.reads - before;
}

function change(row: BudgetRow | null): ReturnType<BudgetLedger['change']> {
  return ledger.change('kv-west', (_row, by) => {
    known.push(by);
    return row;
  });
}

describe('B3: an instance that draws from a vault alone', () => {
  it('reads the row once', async () => {
    expect(await readsOf(10, 700, rowOf('a', 'a'))).toBe(1);
    expect(known).toEqual(['read', ...Array.from({ length: 9 }, () => 'written')]);
  });

  it('reads it each time in a storm, as the others do to whom it comes', async () => {
    expect(await readsOf(10, 400, rowOf('a'))).toBe(10);
  });

  it('reads it each time while the row tells of another, and no more when it does not', async () => {
    expect(await readsOf(10, 700, rowOf('b', 'a'))).toBe(10);
    expect(await readsOf(10, 700, rowOf('a'))).toBe(1);
  });

  it('reads it when another has come, and decides anew', async () => {
    await readsOf(2, 700, rowOf('a'));
    await other.change('kv-west', () => rowOf('a', 'b'));
    expect(await readsOf(1, 700, rowOf('b', 'a'))).toBe(1);
    expect(known.slice(-2)).toEqual(['written', 'read']);
  });

  it('reads it before it is left as it is', async () => {
    await readsOf(2, 700, rowOf('a'));
    known = [];
    expect(await change(null)).toEqual({ row: rowOf('a'), stored: false });
    expect(known).toEqual(['written', 'read']);
  });

  it('reads it where the answer of its last write was lost, and where the row is gone', async () => {
    await readsOf(2, 700, rowOf('a'));
    tables.loseNextAnswer();
    await expect(change(rowOf('a'))).rejects.toThrow('lost');
    await clock.advance(700);
    known = [];
    expect(await change(rowOf('a'))).toEqual({ row: rowOf('a'), stored: true });
    await clock.advance(700);
    await tables.table('budgets').write([{ kind: 'remove', row: { partition: 'kv-west', row: 'budget' } }]);
    expect(await change(rowOf('a'))).toEqual({ row: rowOf('a'), stored: true });
    expect(known).toEqual(['read', 'written', 'read']);
  });
});
