import type { BudgetRow } from '../domain/budget.ts';

/**
 * The rate budget's ledger (B3): one row a vault, changed by conditional write only. Rejects with `StoreAway`, within the store's own
 * time limit. A row that was never written reads as `emptyBudgetRow`. The row is plain JSON; with 20 busy instances it has about 20 kB.
 */
export interface BudgetLedger {
  /**
   * One try of a conditional write. `decide` is called once, with a row that was read after `change` was called, and answers the new row,
   * or null to leave it; what it answers is written on condition that nobody wrote since that read.
   * @returns the row that is stored afterwards, as far as this instance knows, and whether it is the one decided on: `stored` is false where
   * another instance was first, and where `decide` answered null. An unknown outcome (a write without an answer) rejects.
   */
  change(vault: string, decide: (row: BudgetRow) => BudgetRow | null): Promise<{ readonly row: BudgetRow; readonly stored: boolean }>;
  read(vault: string): Promise<BudgetRow>;
}
