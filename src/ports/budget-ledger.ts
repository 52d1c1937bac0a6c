/** Points of a vault's rate budget that were drawn in one write, by whom and when (B3). Times by the drawing instance's wall clock. */
export interface Lease {
  readonly instance: string;
  readonly drawnAt: number;
  readonly points: number;
  /** By key shape, e.g. `RSA-HSM/3072`: how many operations of it the lease allows. */
  readonly byKeyType: Readonly<Record<string, number>>;
}

/** The one row of a vault's rate budget. */
export interface BudgetRow {
  readonly leases: readonly Lease[];
  /** Factor at most 1 by which a throttled vault's budget is lowered (F7), and when it was set. */
  readonly slowdown: { readonly factor: number; readonly at: number } | null;
}

/** The rate budget's ledger: one row a vault, changed by conditional write only. Rejects with `StoreAway`. */
export interface BudgetLedger {
  /**
   * One try of a conditional write. `decide` is pure and answers the new row, or null to leave it.
   * @returns the row that is stored afterwards and whether it is the one decided on; `false` where another instance was first.
   */
  change(vault: string, decide: (row: BudgetRow) => BudgetRow | null): Promise<{ readonly row: BudgetRow; readonly stored: boolean }>;
  read(vault: string): Promise<BudgetRow>;
}
