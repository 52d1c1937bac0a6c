import { instant } from '../../domain/time.ts';
import type { LogPage } from '../../ports/events.ts';
import {
  readOrLeaveOut,
  type LeaveOut,
  type LeftOut,
  type Listing,
  type PartitionQuery,
  type RowKey,
  type StoredRow,
  type Table,
} from './table.ts';

/**
 * How to read a page of items that lie in rows ordered by partition and row key. Row keys begin with a time (`timeKey`), and partitions are
 * spans of it, so that row keys alone are in that order too.
 */
export interface Scan<T> {
  /** The first row that may hold an item of the page. */
  readonly start: RowKey;
  /** Whether the page before may have ended within that row. Else it held all of it. */
  readonly within?: boolean;
  readonly limit: number;
  /** The items of a row that belong to the list and lie beyond the page before, each with the cursor that stands behind it. */
  unpack(row: StoredRow): readonly Found<T>[];
  /** The cursor that stands behind a whole row, also of one that cannot be read; null where none can. */
  behind(row: RowKey): string | null;
  /** Hears of the rows that cannot be read, in their order, once a page; perhaps before their page, or again. They are left out. */
  leftOut(rows: readonly LeftOut[]): void;
}

export interface Found<T> {
  readonly item: T;
  readonly cursor: string;
}

/**
 * A filter may let nothing through, and there may be nothing that can be read: after so many rows, whatever became of them, a page ends,
 * perhaps empty, with a cursor to go on from.
 */
const rowsPerPage = 10_000;
/** Rows of a read at first; then as many as promise about a megabyte, since a row of the operation log may hold up to one. */
const firstRead = 16;
const mostPerRead = 1000;
const charactersPerRead = 1_000_000;
const growth = 4;

/** Reads one page. `next` is null only where no row is left. */
export async function scanPage<T>(table: Table, scan: Scan<T>): Promise<LogPage<T>> {
  const { start, within = false } = scan;
  const found: (Found<T> & { readonly row: string })[] = [];
  const leftOut = new Map<string, LeftOut>();
  const leaveOut: LeaveOut = (left) => void leftOut.set(left.row, left);
  const page = (next: string | null, last?: string): LogPage<T> => {
    const missing = [...leftOut.values()].sort((a, b) => (a.row < b.row ? -1 : 1));
    scan.leftOut(missing);
    return { items: items(found), next, unreadable: timesOf(missing, { start: start.row, within }, last) };
  };
  let read = await readRows(table, { partition: start.partition, from: start.row, leaveOut }, firstRead);
  for (let size = firstRead, scanned = 0; ;) {
    for (const row of read.rows) {
      for (const entry of readOrLeaveOut(row, leaveOut, () => scan.unpack(row)).flat()) {
        const end = found.at(-1);
        if (found.length === scan.limit) return page(end?.cursor ?? null, end?.row);
        found.push({ ...entry, row: row.row });
      }
    }
    const { last } = read;
    if (last === null) return page(null);
    scanned += read.looked;
    const next = scanned < rowsPerPage ? null : scan.behind(last);
    if (next !== null) return page(next, last.row);
    size = nextSize(read.rows, size);
    read = await readRows(table, { partition: last.partition, after: last.row, leaveOut }, size);
  }
}

function items<T>(found: readonly Found<T>[]): readonly T[] {
  return found.map(({ item }) => item);
}

/** Of rows beyond those of the page before, up to `last`. A key without a time was written by no broker. */
function timesOf(
  rows: readonly LeftOut[],
  { start, within }: { readonly start: string; readonly within: boolean },
  last?: string,
): LogPage<unknown>['unreadable'] {
  const here = rows.filter(({ row }) => (within ? row >= start : row > start) && (last === undefined || row <= last));
  return here.map(({ row }) => instant(Number.parseInt(row, 10))).filter(Number.isFinite);
}

/** How large a row is that cannot be read, nobody knows: where there are no others the reads grow step by step. */
function nextSize(rows: readonly StoredRow[], size: number): number {
  if (rows.length === 0) return Math.min(mostPerRead, size * growth);
  let characters = 1;
  for (const row of rows) for (const value of Object.values(row.columns)) characters += String(value).length;
  return Math.max(1, Math.min(mostPerRead, Math.floor((charactersPerRead * rows.length) / characters)));
}

/** Two queries by key ranges: Tables answers one query with `or` over both keys by reading the whole table. */
async function readRows(table: Table, query: PartitionQuery, limit: number): Promise<Pick<Listing, 'rows' | 'looked' | 'last'>> {
  const { partition, leaveOut } = query;
  const here = partition === '' ? nothing : await table.list(query, limit);
  if (here.last !== null) return here;
  const { rows, looked, last } = await table.beyond(partition, limit - here.looked, leaveOut);
  return { rows: [...here.rows, ...rows], looked: here.looked + looked, last };
}

const nothing = { rows: [], looked: 0, last: null };
