import { odata, type TableClient, type TransactionAction } from '@azure/data-tables';
import type { Millis } from '../../domain/time.ts';
import { StoreAway } from '../../ports/store.ts';
import { meaningOf, within, type Condition } from './faults.ts';
import { fromEntity, toEntity } from './rows.ts';
import {
  readOrLeaveOut,
  type LeaveOut,
  type Listing,
  type PartitionQuery,
  type Row,
  type RowKey,
  type StoredRow,
  type Swapped,
  type Table,
  type Write,
} from './table.ts';

/** Most rows that Tables gives in one answer. */
const pageLimit = 1000;

/** A table that can be made before its first use. */
export interface AzureTable extends Table {
  create(): Promise<void>;
}

/**
 * One table of Azure Tables. Every call ends within `limit`, and is tried once: the SDK's retries are off, and the roads decide what
 * an absent store means. Two exceptions, inside the same limit: a reset connection, and a table that is not there yet.
 */
export function createAzureTable(client: TableClient, limit: Millis): AzureTable {
  const caller: Caller = { client, limit };
  return {
    create: () => within(limit, (abortSignal) => create(client, abortSignal)),
    async get(key) {
      const read = (abortSignal: AbortSignal): Promise<StoredRow | undefined> => readEntity(client, key, abortSignal);
      return attempt(caller, { call: read, onReset: read });
    },
    list: (range, most = Infinity) => query(caller, rangeFilter(range), most, range.leaveOut),
    beyond: (after, most, leaveOut) => query(caller, odata`PartitionKey gt ${after}`, most, leaveOut),
    between: (first, last, most) => query(caller, odata`PartitionKey ge ${first} and PartitionKey le ${last}`, most),
    async write(writes) {
      const send = async (abortSignal: AbortSignal): Promise<boolean> => {
        await (writes.length === 1
          ? sendOne(client, writes, abortSignal)
          : client.submitTransaction(writes.map(toAction), { abortSignal }));
        return true;
      };
      // After a reset the write may have landed. Tried again, its condition then fails; so the row itself says which it was.
      const sendAgain = async (abortSignal: AbortSignal): Promise<boolean> =>
        (await landed(writes, (row) => readEntity(client, row, abortSignal))) || send(abortSignal);
      return attempt(caller, { call: send, onReset: sendAgain, onCondition: { met: conditionsOf(writes), value: false } });
    },
    async swap(row, etag) {
      const write: Write = etag === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag };
      const send = async (abortSignal: AbortSignal): Promise<Swapped> => {
        const { etag: written } = await sendOne(client, [write], abortSignal);
        return { stored: true, etag: written };
      };
      const sendAgain = async (abortSignal: AbortSignal): Promise<Swapped> =>
        (await landed([write], (key) => readEntity(client, key, abortSignal))) ? { stored: true } : send(abortSignal);
      return attempt(caller, { call: send, onReset: sendAgain, onCondition: { met: conditionsOf([write]), value: { stored: false } } });
    },
  };
}

interface Caller {
  readonly client: TableClient;
  readonly limit: Millis;
}

interface Attempt<T> {
  readonly call: (abortSignal: AbortSignal) => Promise<T>;
  /** What to call the second time if the first met a reset. */
  readonly onReset: (abortSignal: AbortSignal) => Promise<T>;
  /** The result where the service says that one of these conditions did not hold. Any other is a fault of the store. */
  readonly onCondition?: { readonly met: ReadonlySet<Condition>; readonly value: T };
}

const noRowThere: ReadonlySet<Condition> = new Set(['exists']);
const anyCondition: ReadonlySet<Condition> = new Set(['exists', 'absent', 'changed']);

/** An insert has one condition. A 404 to it is about something else, and whoever took it for one would think that its row is stored. */
function conditionsOf(writes: readonly Write[]): ReadonlySet<Condition> {
  return writes.every(({ kind }) => kind === 'insert') ? noRowThere : anyCondition;
}

async function attempt<T>({ client, limit }: Caller, { call, onReset, onCondition }: Attempt<T>): Promise<T> {
  return within(limit, async (abortSignal) => {
    const first = await outcome(call, abortSignal, onCondition);
    if ('value' in first) return first.value;
    if (first.trouble === 'tableMissing') await create(client, abortSignal);
    const second = await outcome(first.trouble === 'reset' ? onReset : call, abortSignal, onCondition);
    if ('value' in second) return second.value;
    throw new StoreAway(`the store failed twice: ${second.trouble}`);
  });
}

async function outcome<T>(
  call: Attempt<T>['call'],
  abortSignal: AbortSignal,
  onCondition: Attempt<T>['onCondition'],
): Promise<{ value: T } | { trouble: 'reset' | 'tableMissing' }> {
  try {
    return { value: await call(abortSignal) };
  } catch (error) {
    const meaning = meaningOf(error);
    if (meaning instanceof StoreAway) throw meaning;
    if (meaning === 'reset' || meaning === 'tableMissing') return { trouble: meaning };
    if (onCondition?.met.has(meaning) === true) return { value: onCondition.value };
    throw new StoreAway(`the store answered what the call cannot meet: ${meaning}`);
  }
}

/** Several instances may do it at once: the SDK takes the refusal of a table that exists for a success. */
async function create(client: TableClient, abortSignal: AbortSignal): Promise<void> {
  try {
    await client.createTable({ abortSignal });
  } catch (error) {
    const meaning = meaningOf(error);
    throw meaning instanceof StoreAway ? meaning : new StoreAway(`the table cannot be made: ${meaning}`);
  }
}

/** A page may be short or empty and still have a successor: only a missing continuation token is the end. */
async function query(caller: Caller, filter: string, most: number, leaveOut?: LeaveOut): Promise<Listing> {
  const rows: StoredRow[] = [];
  let reads = 0;
  let looked = 0;
  let last: RowKey | null = null;
  let token: string | undefined;
  do {
    const page: Page = await readPage(caller, { filter, leaveOut, size: Math.min(pageLimit, most - looked), token });
    rows.push(...page.rows);
    reads += 1;
    looked += page.looked;
    last = page.last ?? last;
    token = page.next;
  } while (token !== undefined && looked < most);
  return { rows, reads, looked, last: looked < most ? null : last };
}

interface PageQuery {
  readonly filter: string;
  readonly leaveOut: LeaveOut | undefined;
  readonly size: number;
  readonly token: string | undefined;
}

async function readPage(caller: Caller, { filter, leaveOut, size, token }: PageQuery): Promise<Page> {
  const read = async (abortSignal: AbortSignal): Promise<Page> => {
    const pages = caller.client.listEntities({ queryOptions: { filter }, abortSignal });
    const found = await pages.byPage({ maxPageSize: size, ...(token === undefined ? {} : { continuationToken: token }) }).next();
    if (found.done === true) return noRows;
    const rows = found.value.flatMap((entity) =>
      readOrLeaveOut({ row: String(entity.rowKey), etag: entity.etag }, leaveOut, () => fromEntity(entity)),
    );
    const end = found.value.at(-1);
    const last = end === undefined ? null : { partition: String(end.partitionKey), row: String(end.rowKey) };
    return { rows, looked: found.value.length, last, next: found.value.continuationToken };
  };
  return attempt(caller, { call: read, onReset: read });
}

interface Page extends Pick<Listing, 'rows' | 'looked' | 'last'> {
  readonly next: string | undefined;
}

const noRows: Page = { rows: [], looked: 0, last: null, next: undefined };

function rangeFilter({ partition, from, after, below }: PartitionQuery): string {
  const clauses = [odata`PartitionKey eq ${partition}`];
  if (from !== undefined) clauses.push(odata`RowKey ge ${from}`);
  if (after !== undefined) clauses.push(odata`RowKey gt ${after}`);
  if (below !== undefined) clauses.push(odata`RowKey lt ${below}`);
  return clauses.join(' and ');
}

/** @returns the version that was written. */
async function sendOne(client: TableClient, [write]: readonly Write[], abortSignal: AbortSignal): Promise<{ readonly etag?: string }> {
  switch (write?.kind) {
    case undefined:
      return {};
    case 'insert':
      return client.createEntity(toEntity(write.row), { abortSignal });
    case 'put':
      return client.upsertEntity(toEntity(write.row), 'Replace', { abortSignal });
    case 'replace':
      return client.updateEntity(toEntity(write.row), 'Replace', { abortSignal, etag: write.etag });
    case 'remove':
      await client.deleteEntity(write.row.partition, write.row.row, { abortSignal, etag: write.etag ?? '*' });
      return {};
  }
}

/** INVARIANT: a transaction's removals carry no ETag, since the SDK sends none; they stand beside a conditional write of the same partition. */
function toAction(write: Write): TransactionAction {
  switch (write.kind) {
    case 'insert':
      return ['create', toEntity(write.row)];
    case 'put':
      return ['upsert', toEntity(write.row), 'Replace'];
    case 'replace':
      return ['update', toEntity(write.row), 'Replace', { etag: write.etag }];
    case 'remove':
      return ['delete', { partitionKey: write.row.partition, rowKey: write.row.row }];
  }
}

/**
 * Whether a conditional write, and all that went with it, stands in the table as it was sent. The guard alone does not say so: the change
 * of another may have left the same in it.
 */
async function landed(writes: readonly Write[], read: (row: RowKey) => Promise<StoredRow | undefined>): Promise<boolean> {
  if (!writes.some(({ kind }) => kind === 'insert' || kind === 'replace')) return false;
  const stands = async (write: Write): Promise<boolean> => {
    const stored = await read(write.row);
    return write.kind === 'remove' ? stored === undefined : stored !== undefined && inOrder(stored) === inOrder(write.row);
  };
  return (await Promise.all(writes.map(stands))).every(Boolean);
}

function inOrder({ columns }: Row): string {
  return JSON.stringify(Object.entries(columns).sort());
}

async function readEntity(client: TableClient, key: RowKey, abortSignal: AbortSignal): Promise<StoredRow | undefined> {
  try {
    return fromEntity(await client.getEntity(key.partition, key.row, { abortSignal }));
  } catch (error) {
    if (meaningOf(error) === 'absent') return undefined;
    throw error;
  }
}
