import { emptyBudgetRow } from '../../src/domain/budget.ts';
import type { BudgetRow } from '../../src/domain/budget.ts';
import { millis } from '../../src/domain/time.ts';
import type { BudgetLedger } from '../../src/ports/budget-ledger.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { StoreAway } from '../../src/ports/store.ts';

/** The store behind the ledgers of many instances. */
export interface SimulatedStore {
  /** One way, in ms; the time limit of a store that is away is `limitMs`. */
  latencyMs: number;
  limitMs: number;
  away: boolean;
  /** So many writes to come are lost to another instance. */
  loses: number;
  writes: number;
  reads: number;
  conflicts: number;
  /** Size of the largest row in characters of JSON. */
  largestRow: number;
  row(vault: string): BudgetRow;
  /** @param cut whether this instance alone is cut off from the store. */
  ledger(clock: Clock, cut?: () => boolean): BudgetLedger;
}

/** Keeps rows as JSON with a version each; reads and writes take time, and a write may be applied and its answer lost. */
export function simulatedStore(): SimulatedStore {
  const rows = new Map<string, { readonly version: number; readonly json: string }>();
  const stored = (vault: string): { readonly version: number; readonly json: string } =>
    rows.get(vault) ?? { version: 0, json: JSON.stringify(emptyBudgetRow) };

  const store: SimulatedStore = {
    latencyMs: 5,
    limitMs: 2000,
    away: false,
    loses: 0,
    writes: 0,
    reads: 0,
    conflicts: 0,
    largestRow: 0,
    row: (vault) => JSON.parse(stored(vault).json) as BudgetRow,
    ledger(clock, cut = () => false) {
      const travel = async (): Promise<void> => {
        await clock.pause(millis(store.latencyMs * (0.5 + (clock.randomBytes(1)[0] ?? 0) / 256)));
        if (!store.away && !cut()) return;
        await clock.pause(millis(store.limitMs));
        throw new StoreAway('simulated');
      };
      const read = async (vault: string): Promise<{ readonly version: number; readonly row: BudgetRow }> => {
        await travel();
        store.reads += 1;
        const { version, json } = stored(vault);
        await travel();
        return { version, row: JSON.parse(json) as BudgetRow };
      };
      return {
        read: async (vault) => (await read(vault)).row,
        async change(vault, decide) {
          const before = await read(vault);
          const next = decide(before.row);
          if (next === null) return { row: before.row, stored: false };
          const json = JSON.stringify(next);
          await travel();
          const wins = stored(vault).version === before.version && store.loses === 0;
          if (!wins && store.loses > 0) store.loses -= 1;
          if (wins) rows.set(vault, { version: before.version + 1, json });
          if (wins) store.writes += 1;
          else store.conflicts += 1;
          store.largestRow = Math.max(store.largestRow, json.length);
          await travel();
          return wins ? { row: next, stored: true } : { row: (await read(vault)).row, stored: false };
        },
      };
    },
  };
  return store;
}
