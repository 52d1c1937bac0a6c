import { beforeEach, describe, expect, it } from 'vitest';
import { emptyBudgetRow, nothing, type BudgetRow, type Holding } from '../../src/domain/budget.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { BudgetLedger, KnownBy } from '../../src/ports/budget-ledger.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

export interface BudgetRig {
  readonly open: () => BudgetLedger;
  /** Two rows that differ. */
  readonly rows: readonly [BudgetRow, BudgetRow];
  readonly clock: VirtualClock;
}

/** A row that tells of these instances. */
export function rowOf(...instances: readonly string[]): BudgetRow {
  const holdings = instances.map((instance): Holding => ({
    instance,
    purse: 'traffic',
    wroteAt: instant(0),
    wroteElapsed: millis(0),
    ageMs: millis(0),
    lease: nothing,
    leaseMs: millis(1000),
    claim: nothing,
    spent: [],
  }));
  return { holdings, slowdown: null };
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

    it('B3: what is stored was decided on what was stored, also where an instance had the row to itself until then', async () => {
      const seen: [BudgetRow, KnownBy][] = [];
      await a.change('kv-west', () => rowOf('a'));
      await rig.clock.advance(1000);
      await b.change('kv-west', () => rowOf('a', 'b'));
      const answer = await a.change('kv-west', (row, known) => {
        seen.push([row, known]);
        return rowOf(...row.holdings.map(({ instance }) => instance), 'a again');
      });
      expect(seen.at(-1)).toEqual([rowOf('a', 'b'), 'read']);
      expect(answer).toEqual({ row: rowOf('a', 'b', 'a again'), stored: true });
      expect(await b.read('kv-west')).toEqual(answer.row);
    });

    it('B3: a row is left as it is only by who has read it', async () => {
      await a.change('kv-west', () => rowOf('a'));
      await rig.clock.advance(1000);
      await b.change('kv-west', () => rowOf('a', 'b'));
      expect(await a.change('kv-west', () => null)).toEqual({ row: rowOf('a', 'b'), stored: false });
    });
  });
}
