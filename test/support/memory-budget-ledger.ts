import { emptyBudgetRow, type BudgetRow } from '../../src/domain/budget.ts';
import type { BudgetLedger } from '../../src/ports/budget-ledger.ts';
import type { MemoryStore } from './memory-store.ts';

/** The rate budget's ledger in memory. */
export function createMemoryBudgetLedger(store: MemoryStore): BudgetLedger {
  const read = async (vault: string): Promise<{ value: BudgetRow; version: number }> => store.read(`budget/${vault}`, emptyBudgetRow);
  return {
    read: async (vault) => (await read(vault)).value,
    async change(vault, decide) {
      const { value, version } = await read(vault);
      const next = decide(value, 'read');
      if (next === null) return { row: value, stored: false };
      if (await store.write(`budget/${vault}`, version, next)) return { row: next, stored: true };
      return { row: (await read(vault)).value, stored: false };
    },
  };
}
