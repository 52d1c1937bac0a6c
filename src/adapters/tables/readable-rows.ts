import { Unreadable } from '../../ports/store.ts';
import { readOrLeaveOut, type LeftOut, type PartitionQuery, type StoredRow, type Table, type Tell } from './table.ts';

/** What could be read of a list, and by their keys the rows that could not. */
export interface Readable<T> {
  readonly values: readonly T[];
  readonly leftOut: ReadonlyMap<string, LeftOut>;
}

/**
 * Reads the rows of a query, each by itself: what one of them costs, no other pays for. Rejects with `StoreAway` where the store does not answer.
 * @param limit how many values at most; fewer means the end.
 */
export type ReadReadable = <T>(
  query: Omit<PartitionQuery, 'leaveOut'>,
  valueOf: (row: StoredRow) => T,
  limit?: number,
) => Promise<Readable<T>>;

/** Remembers of what the log was told. */
export interface Told {
  /** Whether it was not told of this yet; then it counts as told. */
  isNew(name: string): boolean;
  forget(name: string): void;
}

/** So much is remembered; what was told first is forgotten first, and told again where it is met again. */
const mostTold = 10_000;

export function createTold(): Told {
  const told = new Set<string>();
  return {
    isNew(name) {
      if (told.has(name)) return false;
      const [first] = told;
      if (told.size >= mostTold && first !== undefined) told.delete(first);
      told.add(name);
      return true;
    },
    forget: (name) => void told.delete(name),
  };
}

/** What the pages of a log say to the broker's own log of rows that cannot be read: of each once, until it can be read again. */
export interface TellOfPages {
  /** One line a page, however many they are: of each row by itself nobody could read, and a log may be full of them. */
  leftOut(rows: readonly LeftOut[]): void;
  read(row: string): void;
}

/** @param what the message, which says what a row of this log is. */
export function createTellOfPages(what: string, tell: Tell): TellOfPages {
  const told = createTold();
  return {
    leftOut(rows) {
      const fresh = rows.filter(({ row }) => told.isNew(row));
      const [first, last] = [fresh[0], fresh.at(-1)];
      if (first === undefined || last === undefined) return;
      const others = fresh.length === 1 ? {} : { rows: fresh.length, to: last.row };
      tell('error', what, { row: first.row, ...others, reason: first.reason });
    },
    read: (row) => {
      told.forget(row);
    },
  };
}

/**
 * For lists of which nothing is decided that a missing row could make wrong. What is left out is told to the log once, until it can be read again.
 * @param what the message, which says what a row of this list is.
 */
export function createReadReadable(table: Table, what: string, tell: Tell): ReadReadable {
  const told = new Map<string, ReadonlySet<string>>();

  /** Of one part of a partition. What lies beyond it is known as before. */
  function tellOnce(partition: string, leftOut: ReadonlyMap<string, LeftOut>, isBeyond: (row: string) => boolean): void {
    const known = told.get(partition) ?? new Set();
    for (const { row, reason } of leftOut.values()) if (!known.has(row)) tell('error', what, { partition, row, reason });
    const left = new Set([...[...known].filter(isBeyond), ...leftOut.keys()]);
    told.delete(partition);
    if (left.size > 0) told.set(partition, left);
    const [first] = told.keys();
    if (told.size > mostTold && first !== undefined) told.delete(first);
  }

  return async <T>(query: Omit<PartitionQuery, 'leaveOut'>, valueOf: (row: StoredRow) => T, limit = Infinity): Promise<Readable<T>> => {
    const leftOut = new Map<string, LeftOut>();
    const leaveOut = (left: LeftOut): void => void leftOut.set(left.row, left);
    const values: T[] = [];
    let { after } = query;
    for (;;) {
      const wanted = limit - values.length;
      const { rows, last } = await table.list({ ...query, ...(after === undefined ? {} : { after }), leaveOut }, wanted);
      for (const row of rows) values.push(...readOrLeaveOut(row, leaveOut, () => valueOf(row)));
      if (last === null || values.length === limit) {
        const [begin, end] = [query.after, last?.row];
        tellOnce(query.partition, leftOut, (row) => (begin !== undefined && row <= begin) || (end !== undefined && row > end));
        return { values, leftOut };
      }
      after = last.row;
    }
  };
}

/** Runs a read for deciding, which nothing may be left out of: what cannot be read is named, since many partitions have rows of one key. */
export async function naming<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    throw new Unreadable(`${what} cannot be read: ${error.message}`);
  }
}

/** Runs reads of servers, or of vaults, by name. That one cannot be read is told to the log once, until it can be read again. */
export function createTellOnce(
  kind: 'server' | 'vault',
  what: string,
  tell: Tell,
): <T>(name: string, read: () => Promise<T>) => Promise<T> {
  const told = createTold();

  return async (name, read) => {
    try {
      const value = await read();
      told.forget(name);
      return value;
    } catch (error) {
      if (error instanceof Unreadable && told.isNew(name)) tell('error', what, { [kind]: name, reason: error.message });
      throw error;
    }
  };
}
