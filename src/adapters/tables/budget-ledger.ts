import { emptyBudgetRow, type BudgetRow } from '../../domain/budget.ts';
import type { BudgetLedger } from '../../ports/budget-ledger.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { Row, Store, StoredRow } from './table.ts';

export function budgetToRow(vault: string, budget: BudgetRow): Row {
  return { partition: vault, row: 'budget', columns: jsonColumns(budget) };
}

function budgetOf(row: StoredRow | undefined): BudgetRow {
  return row === undefined ? emptyBudgetRow : jsonValue<BudgetRow>(row);
}

/** The rate budget's ledger in table `budgets`: a partition and a row a vault, so that vaults share no limit of the store. */
export function createBudgetLedger(store: Store): BudgetLedger {
  const table = store.table('budgets');

  async function read(vault: string): Promise<StoredRow | undefined> {
    return table.get({ partition: vault, row: 'budget' });
  }

  return {
    read: async (vault) => budgetOf(await read(vault)),
    async change(vault, decide) {
      const stored = await read(vault);
      const next = decide(budgetOf(stored));
      if (next === null) return { row: budgetOf(stored), stored: false };
      const row = budgetToRow(vault, next);
      const written = await table.write([stored === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag: stored.etag }]);
      return written ? { row: next, stored: true } : { row: budgetOf(await read(vault)), stored: false };
    },
  };
}
