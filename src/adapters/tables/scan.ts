import type { Page } from '../../ports/events.ts';
import { readOrLeaveOut, type LeaveOut, type PartitionQuery, type RowKey, type StoredRow, type Table } from './table.ts';

/** How to read a page of items that lie in rows ordered by partition and row key. */
export interface Scan<T> {
  /** The first row that may hold an item of the page. */
  readonly start: RowKey;
  readonly limit: number;
  /** The items of a row that belong to the list and lie beyond the page before, each with the cursor that stands behind it. */
  unpack(row: StoredRow): readonly Found<T>[];
  /** The cursor that stands behind a whole row. */
  behind(row: StoredRow): string;
  /** Hears of each row that cannot be read, perhaps twice, and it is left out. Without it one such row makes the page reject with `Unreadable`. */
  readonly leaveOut?: LeaveOut | undefined;
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
export async function scanPage<T>(table: Table, scan: Scan<T>): Promise<Page<T>> {
  const { start, leaveOut } = scan;
  const found: Found<T>[] = [];
  let rows = await rowsOf(table, { partition: start.partition, from: start.row, leaveOut }, firstRead);
  for (let size = firstRead, scanned = 0; ; scanned += rows.length) {
    for (const entry of rows.flatMap((row) => readOrLeaveOut(row, leaveOut, () => scan.unpack(row)).flat())) {
      if (found.length === scan.limit) return { items: items(found), next: found.at(-1)?.cursor ?? null };
      found.push(entry);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return { items: items(found), next: null };
    if (scanned + rows.length >= rowsPerPage) return { items: items(found), next: scan.behind(last) };
    size = nextSize(rows);
    rows = await rowsOf(table, { partition: last.partition, after: last.row, leaveOut }, size);
  }
}

function items<T>(found: readonly Found<T>[]): readonly T[] {
  return found.map(({ item }) => item);
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
