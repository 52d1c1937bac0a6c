import { fromEntity, toEntity } from '../../src/adapters/tables/rows.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { readOrLeaveOut } from '../../src/adapters/tables/table.ts';
import type {
  LeaveOut,
  Listing,
  PartitionQuery,
  Row,
  RowKey,
  Store,
  StoredRow,
  Table,
  TableName,
  Write,
} from '../../src/adapters/tables/table.ts';

/** One instance's way to tables in memory, with the faults that a test wants. */
export interface MemoryTables extends Store {
  /** While true every call rejects with `StoreAway`. */
  away: boolean;
  /** As if the process were killed after so many more writes: every later call rejects. */
  dieAfterWrites(writes: number): void;
  /** The next write is stored, and its answer lost. */
  loseNextAnswer(): void;
  /** Called before each write: lets a test put another instance's work in between. */
  beforeWrite: ((name: TableName, writes: readonly Write[]) => void | Promise<void>) | undefined;
  /** Called between a read and its answer: lets a test make the answer late. */
  afterRead: (() => void | Promise<void>) | undefined;
  /** Calls so far. */
  readonly counts: { reads: number; writes: number };
}

/** The rows of all tables, shared by the instances that `open` gives. Pages hold `pageLimit` rows, as the service's hold 1,000. */
export function createMemoryTables(pageLimit = 1000): { open(): MemoryTables } {
  const rows = new Map<TableName, Map<string, StoredRow>>();
  let versions = 0;

  function rowsOf(name: TableName): Map<string, StoredRow> {
    const known = rows.get(name) ?? new Map<string, StoredRow>();
    rows.set(name, known);
    return known;
  }

  function apply(table: Map<string, StoredRow>, write: Write): void {
    versions += 1;
    if (write.kind === 'remove') table.delete(keyOf(write.row));
    else table.set(keyOf(write.row), { ...write.row, etag: String(versions) });
  }

  function open(): MemoryTables {
    let writesLeft = Infinity;
    let answerLost = false;

    const touch = (): void => {
      if (store.away || writesLeft < 0) throw new StoreAway('the tables are away');
    };

    const table = (name: TableName): Table => {
      const stored = rowsOf(name);
      const read = async <T>(select: () => T): Promise<T> => {
        touch();
        store.counts.reads += 1;
        const answer = select();
        await store.afterRead?.();
        return answer;
      };
      const listing = (which: (row: StoredRow) => boolean, limit: number, leaveOut?: LeaveOut): Listing => {
        const looked = sorted([...stored.values()].filter(which)).slice(0, limit);
        const found = looked.flatMap((row) => given(row, leaveOut));
        const last = looked.length < limit ? undefined : looked.at(-1);
        return {
          rows: found,
          reads: Math.max(1, Math.ceil(looked.length / pageLimit)),
          looked: looked.length,
          last: last === undefined ? null : { partition: last.partition, row: last.row },
        };
      };
      const self: Table = {
        get: async (key) =>
          read(() => {
            const row = stored.get(keyOf(key));
            return row && given(row)[0];
          }),
        list: async (query, limit = Infinity) => read(() => listing((row) => inRange(row, query), limit, query.leaveOut)),
        beyond: async (after, limit, leaveOut) => read(() => listing(({ partition }) => partition > after, limit, leaveOut)),
        between: async (first, last, limit) => read(() => listing(({ partition }) => partition >= first && partition <= last, limit)),
        async write(writes) {
          await store.beforeWrite?.(name, writes);
          touch();
          writesLeft -= 1;
          if (writesLeft < 0) throw new StoreAway('killed');
          store.counts.writes += 1;
          check(writes);
          if (!writes.every((write) => holds(stored, write))) return false;
          for (const write of writes) apply(stored, write);
          if (answerLost) {
            answerLost = false;
            throw new StoreAway('the answer was lost');
          }
          return true;
        },
        async swap(row, etag) {
          const done = await self.write([etag === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag }]);
          return done ? { stored: true, etag: stored.get(keyOf(row))?.etag } : { stored: false };
        },
      };
      return self;
    };

    const store: MemoryTables = {
      away: false,
      beforeWrite: undefined,
      afterRead: undefined,
      counts: { reads: 0, writes: 0 },
      table,
      createTables: () => Promise.resolve(),
      ping: async () => {
        touch();
        return Promise.resolve();
      },
      dieAfterWrites: (writes) => {
        writesLeft = writes;
      },
      loseNextAnswer: () => {
        answerLost = true;
      },
    };
    return store;
  }

  return { open };
}

/** As the service's adapter gives a row: one with a schema of its own, which a test may have given it, only if the program knows it. */
function given(row: StoredRow, leaveOut?: LeaveOut): readonly StoredRow[] {
  if (!('schema' in row.columns) && !('schema' in row)) return [row];
  return readOrLeaveOut(row, leaveOut, () => fromEntity({ ...toEntity(row), etag: row.etag }));
}

function keyOf({ partition, row }: RowKey): string {
  return `${partition}\n${row}`;
}

function sorted(rows: Iterable<StoredRow>): StoredRow[] {
  const before = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...rows].sort((a, b) => before(a.partition, b.partition) || before(a.row, b.row));
}

function inRange({ partition, row }: Row, query: PartitionQuery): boolean {
  const { from = '', after, below } = query;
  return partition === query.partition && row >= from && (after === undefined || row > after) && (below === undefined || row < below);
}

/** What the service refuses whatever is stored: a test that meets it has found a defect. */
function check(writes: readonly Write[]): void {
  const keys = new Set(writes.map(({ row }) => keyOf(row)));
  const partitions = new Set(writes.map(({ row }) => row.partition));
  if (writes.length === 0 || writes.length > 100 || keys.size !== writes.length || partitions.size !== 1) {
    throw new RangeError(`a transaction of ${writes.length} writes on ${keys.size} rows of ${partitions.size} partitions`);
  }
}

function holds(stored: ReadonlyMap<string, StoredRow>, write: Write): boolean {
  const row = stored.get(keyOf(write.row));
  switch (write.kind) {
    case 'insert':
      return row === undefined;
    case 'put':
      return true;
    case 'replace':
      return row?.etag === write.etag;
    case 'remove':
      return row !== undefined && (write.etag === undefined || row.etag === write.etag);
  }
}
