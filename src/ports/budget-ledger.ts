import type { BudgetRow } from '../domain/budget.ts';

/** How a row is known: it was read after the change was asked for; or this instance wrote it, and knows of no later write. */
export type KnownBy = 'read' | 'written';

/**
 * The rate budget's ledger (B3): one row a vault, changed by conditional write only. Rejects with `StoreAway`, within the store's own
 * time limit. A row that was never written reads as `emptyBudgetRow`. The row is plain JSON; with 20 busy instances it has about 20 kB.
 */
export interface BudgetLedger {
  /**
   * One try of a conditional write. `decide` answers the new row, or null to leave it; what it answers is written on condition that the row
   * is still the one that it was given: one that was read after `change` was called. Where the row tells of this instance alone, it may first be
   * the one that this instance wrote last; if another has written since, or `decide` leaves it, `decide` is called once more, with one that is
   * read, and what it answered first is not written.
   * @returns the row that is stored afterwards, as far as this instance knows, and whether it is the one decided on: `stored` is false where
   * another instance was first, and where `decide` answered null. An unknown outcome (a write without an answer) rejects.
   */
  change(
    vault: string,
    decide: (row: BudgetRow, known: KnownBy) => BudgetRow | null,
  ): Promise<{ readonly row: BudgetRow; readonly stored: boolean }>;
  read(vault: string): Promise<BudgetRow>;
}
