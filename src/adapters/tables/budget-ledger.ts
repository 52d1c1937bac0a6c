import { emptyBudgetRow, type BudgetRow } from '../../domain/budget.ts';
import type { Millis } from '../../domain/time.ts';
import type { BudgetLedger } from '../../ports/budget-ledger.ts';
import type { Clock } from '../../ports/clock.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { Row, Store, StoredRow } from './table.ts';

export function budgetToRow(vault: string, budget: BudgetRow): Row {
  return { partition: vault, row: 'budget', columns: jsonColumns(budget) };
}

function budgetOf(row: StoredRow | undefined): BudgetRow {
  return row === undefined ? emptyBudgetRow : jsonValue<BudgetRow>(row);
}

/** Whether one instance alone has something in the row. Any other that writes it is in it for as long as what it spent counts. */
function isOfOne({ holdings: [first, ...others] }: BudgetRow): boolean {
  return first !== undefined && others.every(({ instance }) => instance === first.instance);
}

/** Writes that follow one another sooner are of a storm, which comes to the other instances too. */
const calmMs = 500;

/** A row that this instance wrote, and when, by its monotonic clock. */
interface Written {
  readonly row: BudgetRow;
  readonly etag: string;
  readonly at: Millis;
}

/**
 * The rate budget's ledger in table `budgets`: a partition and a row a vault, so that vaults share no limit of the store.
 *
 * What is read before a write is what others wrote. An instance that draws from a vault alone, by the row that it wrote last itself, saves that
 * read: the condition of its write says if another has come. Where several draw, and in a storm, each reads first: whoever did not would win
 * most races, and its servers would get more than their part (B4).
 */
export function createBudgetLedger(store: Pick<Store, 'table'>, clock: Pick<Clock, 'elapsed'>): BudgetLedger {
  const table = store.table('budgets');
  /** The last of each vault from which this instance draws alone. */
  const written = new Map<string, Written>();

  async function read(vault: string): Promise<StoredRow | undefined> {
    return table.get({ partition: vault, row: 'budget' });
  }

  async function write(vault: string, row: BudgetRow, etag: string | undefined): Promise<boolean> {
    // Until the answer is there nobody knows what is stored, and after a lost one neither.
    written.delete(vault);
    const swapped = await table.swap(budgetToRow(vault, row), etag);
    if (swapped.etag !== undefined && isOfOne(row)) written.set(vault, { row, etag: swapped.etag, at: clock.elapsed() });
    return swapped.stored;
  }

  function calmlyWritten(vault: string): Written | undefined {
    const last = written.get(vault);
    return last !== undefined && clock.elapsed() - last.at >= calmMs ? last : undefined;
  }

  return {
    read: async (vault) => budgetOf(await read(vault)),
    async change(vault, decide) {
      // All that are asking in this moment are to be in what is decided.
      await Promise.resolve();
      const own = calmlyWritten(vault);
      const onOwn = own && decide(own.row, 'written');
      if (own !== undefined && onOwn && (await write(vault, onOwn, own.etag))) return { row: onOwn, stored: true };
      const stored = await read(vault);
      const next = decide(budgetOf(stored), 'read');
      if (next === null) return { row: budgetOf(stored), stored: false };
      if (await write(vault, next, stored?.etag)) return { row: next, stored: true };
      return { row: budgetOf(await read(vault)), stored: false };
    },
  };
}
