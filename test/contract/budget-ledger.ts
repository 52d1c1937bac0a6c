import { beforeEach, describe, expect, it } from 'vitest';
import { emptyBudgetRow, type BudgetRow } from '../../src/domain/budget.ts';
import type { BudgetLedger } from '../../src/ports/budget-ledger.ts';

export interface BudgetRig {
  readonly open: () => BudgetLedger;
  /** Two rows that differ. */
  readonly rows: readonly [BudgetRow, BudgetRow];
}

export function describeBudgetLedger(name: string, factory: () => Promise<BudgetRig>): void {
  describe(`budget ledger: ${name}`, () => {
    let rig: BudgetRig;
    let a: BudgetLedger;
    let b: BudgetLedger;
    beforeEach(async () => {
      rig = await factory();
      a = rig.open();
      b = rig.open();
    });

    it('a row that was never written is the empty one', async () => {
      expect(await a.read('kv-west')).toEqual(emptyBudgetRow);
      expect(await a.change('kv-west', () => null)).toEqual({ row: emptyBudgetRow, stored: false });
    });

    it('B3: what one instance stored, the other decides on; vaults stay apart', async () => {
      expect(await a.change('kv-west', () => rig.rows[0])).toEqual({ row: rig.rows[0], stored: true });
      const seen: BudgetRow[] = [];
      await b.change('kv-west', (row) => {
        seen.push(row);
        return rig.rows[1];
      });
      expect(seen).toEqual([rig.rows[0]]);
      expect(await a.read('kv-west')).toEqual(rig.rows[1]);
      expect(await a.read('kv-north')).toEqual(emptyBudgetRow);
    });

    it('B3: of changes decided on one row, one is stored; the others learn of it, and are asked once', async () => {
      await a.change('kv-west', () => rig.rows[1]);
      let asked = 0;
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, number) =>
          (number % 2 === 0 ? a : b).change('kv-west', () => {
            asked += 1;
            return rig.rows[0];
          }),
        ),
      );
      expect(asked).toBe(8);
      expect(answers.some(({ stored }) => stored)).toBe(true);
      for (const { row } of answers) expect(row).toEqual(rig.rows[0]);
    });
  });
}
