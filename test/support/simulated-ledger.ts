import { createBudgetLedger } from '../../src/adapters/tables/budget-ledger.ts';
import { columnsText, jsonValue } from '../../src/adapters/tables/rows.ts';
import type { Row, RowKey, StoredRow, Swapped, Table } from '../../src/adapters/tables/table.ts';
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

const unused = (): Promise<never> => Promise.reject(new Error('the ledger of the rate budget does not use it'));
const noTable: Table = { get: unused, list: unused, beyond: unused, between: unused, write: unused, swap: unused };

/** The real ledger over rows in memory; reads and writes take time, and a write may be applied and its answer lost. */
export function simulatedStore(): SimulatedStore {
  const rows = new Map<string, StoredRow>();

  const store: SimulatedStore = {
    latencyMs: 5,
    limitMs: 2000,
    away: false,
    loses: 0,
    writes: 0,
    reads: 0,
    conflicts: 0,
    largestRow: 0,
    row(vault) {
      const row = rows.get(vault);
      return row === undefined ? emptyBudgetRow : jsonValue<BudgetRow>(row);
    },
    ledger(clock, cut = () => false) {
      const travel = async (): Promise<void> => {
        await clock.pause(millis(store.latencyMs * (0.5 + (clock.randomBytes(1)[0] ?? 0) / 256)));
        if (!store.away && !cut()) return;
        await clock.pause(millis(store.limitMs));
        throw new StoreAway('simulated');
      };
      const get = async ({ partition }: RowKey): Promise<StoredRow | undefined> => {
        await travel();
        store.reads += 1;
        const row = rows.get(partition);
        await travel();
        return row;
      };
      const swap = async (row: Row, etag: string | undefined): Promise<Swapped> => {
        await travel();
        const wins = rows.get(row.partition)?.etag === etag && store.loses === 0;
        if (!wins && store.loses > 0) store.loses -= 1;
        const written = String(store.writes + 1);
        if (wins) rows.set(row.partition, { ...row, etag: written });
        if (wins) store.writes += 1;
        else store.conflicts += 1;
        store.largestRow = Math.max(store.largestRow, columnsText(row.columns).length);
        await travel();
        return wins ? { stored: true, etag: written } : { stored: false };
      };
      return createBudgetLedger({ table: () => ({ ...noTable, get, swap }) }, clock);
    },
  };
  return store;
}
