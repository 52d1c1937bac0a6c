import { Unreadable } from '../../ports/store.ts';

/** The tables of the store; each belongs to the port that its name says. */
export const tableNames = [
  'servers',
  'registry',
  'association',
  'access',
  'events',
  'outbox',
  'operations',
  'instances',
  'history',
  'budgets',
  'deliveries',
  'audits',
] as const;
export type TableName = (typeof tableNames)[number];

/** Columns of a row beside its keys. Numbers are 32-bit whole numbers: Tables reads a larger JSON number without a type as a fault. */
export type Columns = Readonly<Record<string, string | number>>;

/** Where a row lies. Keys are made of letters, digits and `- . _ ~ :` only: others are forbidden by Tables or break in a transaction's body. */
export interface RowKey {
  readonly partition: string;
  readonly row: string;
}

export interface Row extends RowKey {
  readonly columns: Columns;
  /** Version of the form that it is written in; absent: the common one (`rows.ts`). One that was read does not say it any more. */
  readonly schema?: number;
}

/** A row with the ETag of the version that was read. */
export interface StoredRow extends Omit<Row, 'schema'> {
  readonly etag: string;
}

/** `insert`: only if the row is absent. `replace` and `remove` with an `etag`: only if it still has that version. `put`: in any case. */
export type Write =
  | { readonly kind: 'insert' | 'put'; readonly row: Row }
  | { readonly kind: 'replace'; readonly row: Row; readonly etag: string }
  | { readonly kind: 'remove'; readonly row: RowKey; readonly etag?: string };

/** A row that cannot be read. The reason may be told to callers. */
export interface LeftOut {
  readonly row: string;
  readonly etag: string;
  readonly reason: string;
}

export type LeaveOut = (left: LeftOut) => void;

/** Rows of one partition, by row key, from `from` or beyond `after`, below `below`. */
export interface PartitionQuery {
  readonly partition: string;
  readonly from?: string;
  readonly after?: string;
  readonly below?: string;
  /** Hears of each row that cannot be read, which is then left out. Without it one such row makes the whole query reject with `Unreadable`. */
  readonly leaveOut?: LeaveOut | undefined;
}

/** What a query gave, and in how many reads: the rows of one read are a snapshot, those of several are not. */
export interface Listing {
  readonly rows: readonly StoredRow[];
  readonly reads: number;
  /** How many rows were looked at, those that were left out included: never more than were asked for. */
  readonly looked: number;
  /** Where so many were looked at as were asked for, the last of them, left out or not; null: no row is left. */
  readonly last: RowKey | null;
}

/** Most writes of one transaction that Tables takes. */
export const transactionLimit = 100;

/**
 * One table: what Azure Tables can do, in our words. Rejects with `StoreAway` and nothing else; after it a write may have landed or not.
 * A partition is the unit of atomicity: the writes of one call are one transaction, and one page of a query is one snapshot.
 */
export interface Table {
  get(key: RowKey): Promise<StoredRow | undefined>;
  /** By row key, at most `limit` rows, left out ones included; all if it is absent. */
  list(query: PartitionQuery, limit?: number): Promise<Listing>;
  /** Rows of all partitions beyond `after`, by partition and row key, at most `limit` as in `list`; `leaveOut` as in a `PartitionQuery`. */
  beyond(after: string, limit: number, leaveOut?: LeaveOut): Promise<Listing>;
  /** Rows of all partitions from `first` to `last`, both included, by partition and row key, at most `limit`. */
  between(first: string, last: string, limit: number): Promise<Listing>;
  /**
   * One transaction of 1 to 100 writes in one partition.
   * @returns false if a condition did not hold (a row to remove that is absent counts as one); then nothing was written.
   */
  write(writes: readonly Write[]): Promise<boolean>;
  /** Writes one row: if it still has the version `etag`, or where that is undefined, only if it is absent. */
  swap(row: Row, etag: string | undefined): Promise<Swapped>;
}

/** `stored` is false where the condition did not hold. `etag`: the version that was written, where that is known. */
export interface Swapped {
  readonly stored: boolean;
  readonly etag?: string | undefined;
}

/** Says a line to the log; never with a secret. */
export type Tell = (level: 'warn' | 'error', message: string, about: Readonly<Record<string, unknown>>) => void;

/** All tables. Usable when it exists: a table is made when it is first used. */
export interface Store {
  table(name: TableName): Table;
  /** Makes every table now. Done twice it changes nothing. */
  createTables(): Promise<void>;
  /** Resolves if the store answers; rejects with `StoreAway` if it does not. */
  ping(): Promise<void>;
}

/** What `read` says of a row; nothing where it cannot be read and may be left out. */
export function readOrLeaveOut<T>(
  { row, etag }: Pick<LeftOut, 'row' | 'etag'>,
  leaveOut: LeaveOut | undefined,
  read: () => T,
): readonly T[] {
  try {
    return [read()];
  } catch (error) {
    if (leaveOut === undefined || !(error instanceof Unreadable)) throw error;
    leaveOut({ row, etag, reason: error.message });
    return [];
  }
}

/** Cuts `items` into runs that one transaction can hold. */
export function chunks<T>(items: readonly T[], size: number = transactionLimit): readonly (readonly T[])[] {
  const cut: T[][] = [];
  for (let start = 0; start < items.length; start += size) cut.push(items.slice(start, start + size));
  return cut;
}

/** Removes rows in any order, those that are there; not atomic. */
export async function removeRows(table: Table, keys: readonly RowKey[]): Promise<void> {
  for (const run of chunks(keys)) {
    const removals: readonly Write[] = run.map((row) => ({ kind: 'remove', row }));
    // One absent row fails the whole transaction: another instance is removing the same, so each row is then tried by itself.
    if (!(await table.write(removals)) && run.length > 1) {
      for (const removal of removals) await table.write([removal]);
    }
  }
}
