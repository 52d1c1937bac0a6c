import { Unreadable } from '../../ports/store.ts';
import type { PartitionQuery, StoredRow, Table, Tell } from './table.ts';

/** What could be read of a list, and the keys of the rows that could not. */
export interface Readable<T> {
  readonly values: readonly T[];
  readonly leftOut: ReadonlySet<string>;
}

/** Reads the rows of a query, each by itself: what one of them costs, no other pays for. Rejects with `StoreAway` where the store does not answer. */
export type ReadReadable = <T>(query: Omit<PartitionQuery, 'leaveOut'>, valueOf: (row: StoredRow) => T) => Promise<Readable<T>>;

/**
 * For lists of which nothing is decided that a missing row could make wrong. What is left out is told to the log once, until it can be read again.
 * @param what the message, which says what a row of this list is.
 */
export function createReadReadable(table: Table, what: string, tell: Tell): ReadReadable {
  const told = new Map<string, ReadonlySet<string>>();

  return async (query, valueOf) => {
    const reasons = new Map<string, string>();
    const leaveOut = (row: string, { message }: Unreadable): void => void reasons.set(row, message);
    const { rows } = await table.list({ ...query, leaveOut });
    const values = rows.flatMap((row) => {
      try {
        return [valueOf(row)];
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        leaveOut(row.row, error);
        return [];
      }
    });
    const { partition } = query;
    for (const [row, reason] of reasons) if (told.get(partition)?.has(row) !== true) tell('error', what, { partition, row, reason });
    const leftOut = new Set(reasons.keys());
    told.set(partition, leftOut);
    return { values, leftOut };
  };
}
