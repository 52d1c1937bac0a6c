import { instant } from '../../domain/time.ts';
import type { LogPage } from '../../ports/events.ts';
import { readOrLeaveOut, type LeaveOut, type PartitionQuery, type RowKey, type StoredRow, type Table } from './table.ts';

/**
 * How to read a page of items that lie in rows ordered by partition and row key. Row keys begin with a time (`timeKey`), and partitions are
 * spans of it, so that row keys alone are in that order too.
 */
export interface Scan<T> {
  /** The first row that may hold an item of the page. */
  readonly start: RowKey;
  readonly limit: number;
  /** The items of a row that belong to the list and lie beyond the page before, each with the cursor that stands behind it. */
  unpack(row: StoredRow): readonly Found<T>[];
  /** The cursor that stands behind a whole row. */
  behind(row: StoredRow): string;
  /** Hears of each row that cannot be read, perhaps twice or before its page, and it is left out. */
  readonly leaveOut: LeaveOut;
}

export interface Found<T> {
  readonly item: T;
  readonly cursor: string;
}

/** A filter may let nothing through: after so many rows a page ends, perhaps empty, with a cursor to go on from. */
const rowsPerPage = 10_000;
/** Rows of a read at first; then as many as promise about a megabyte, since a row of the operation log may hold up to one. */
const firstRead = 16;
const mostPerRead = 1000;
const charactersPerRead = 1_000_000;

/** Reads one page. `next` is null only where no row is left. */
export async function scanPage<T>(table: Table, scan: Scan<T>): Promise<LogPage<T>> {
  const { start } = scan;
  const found: (Found<T> & { readonly row: string })[] = [];
  const leftOut = new Set<string>();
  const leaveOut: LeaveOut = (left) => {
    leftOut.add(left.row);
    scan.leaveOut(left);
  };
  const page = (next: string | null, last?: string): LogPage<T> => ({
    items: items(found),
    next,
    unreadable: timesOf(leftOut, start.row, last),
  });
  let rows = await rowsOf(table, { partition: start.partition, from: start.row, leaveOut }, firstRead);
  for (let size = firstRead, scanned = 0; ; scanned += rows.length) {
    for (const row of rows) {
      for (const entry of readOrLeaveOut(row, leaveOut, () => scan.unpack(row)).flat()) {
        const end = found.at(-1);
        if (found.length === scan.limit) return page(end?.cursor ?? null, end?.row);
        found.push({ ...entry, row: row.row });
      }
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return page(null);
    if (scanned + rows.length >= rowsPerPage) return page(scan.behind(last), last.row);
    size = nextSize(rows);
    rows = await rowsOf(table, { partition: last.partition, after: last.row, leaveOut }, size);
  }
}

function items<T>(found: readonly Found<T>[]): readonly T[] {
  return found.map(({ item }) => item);
}

/** Of rows beyond `start`, with which the page before may have ended, up to `last`. A key without a time was written by no broker. */
function timesOf(rows: ReadonlySet<string>, start: string, last?: string): LogPage<unknown>['unreadable'] {
  const here = [...rows].filter((row) => row > start && (last === undefined || row <= last)).sort();
  return here.map((row) => instant(Number.parseInt(row, 10))).filter(Number.isFinite);
}

function nextSize(rows: readonly StoredRow[]): number {
  let characters = 1;
  for (const row of rows) for (const value of Object.values(row.columns)) characters += String(value).length;
  return Math.max(1, Math.min(mostPerRead, Math.floor((charactersPerRead * rows.length) / characters)));
}

/** Two queries by key ranges: Tables answers one query with `or` over both keys by reading the whole table. */
async function rowsOf(table: Table, query: PartitionQuery, limit: number): Promise<readonly StoredRow[]> {
  const { partition, leaveOut } = query;
  const here = partition === '' ? [] : (await table.list(query, limit)).rows;
  return here.length >= limit ? here : [...here, ...(await table.beyond(partition, limit - here.length, leaveOut))];
}
