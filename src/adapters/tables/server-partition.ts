import type { RegisteredServer } from '../../domain/server.ts';
import { StoreAway, Unreadable } from '../../ports/store.ts';
import type { EventfulStep } from './outbox.ts';
import { belongings, differences, fromRows, guardKey, guardWrite, isTombstone, toRows, tombstone } from './server-rows.ts';
import { transactionLimit, type RowKey, type StoredRow, type Table, type Write } from './table.ts';
import type { ServerChange } from '../../ports/registry.ts';

/** A server's partition as one moment saw it. */
export interface Partition {
  readonly rows: readonly StoredRow[];
  readonly guard: StoredRow | undefined;
  readonly registered: RegisteredServer | undefined;
}

/** Most rows that Tables gives in one read. */
const rowsTogether = 1000;

/** How often a partition of more than one read is read again because it changed in between. */
const readTries = 10;

/** Reads a server's partition as a snapshot: where it took several reads, the guard's version before and after must be the same. */
export async function readPartition(servers: Table, name: string): Promise<Partition> {
  let before: StoredRow | undefined;
  for (let attempt = 0; attempt < readTries; attempt += 1) {
    const { rows, reads } = await servers.list({ partition: name });
    const guard = rows.find(({ row }) => row === guardKey);
    if (reads === 1 || (attempt > 0 && guard?.etag === before?.etag)) return { rows, guard, registered: fromRows(rows) };
    before = await servers.get({ partition: name, row: guardKey });
  }
  throw new StoreAway(`server \`${name}\` changed during each of ${readTries} reads`);
}

/**
 * Reads the partitions of many servers at once, each as one moment saw it. Those that one read cannot tell are left out: the partition at
 * which it ended, and all where one of the rows cannot be read.
 */
export async function readPartitions(servers: Table, names: readonly string[]): Promise<ReadonlyMap<string, RegisteredServer>> {
  const sorted = [...names].sort();
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined) return new Map();
  try {
    const { rows, reads } = await servers.between(first, last, rowsTogether);
    if (reads > 1) return new Map();
    const byName = Map.groupBy(rows, ({ partition }) => partition);
    if (rows.length === rowsTogether) byName.delete(rows.at(-1)?.partition ?? '');
    const read = sorted.map((name) => [name, fromRows(byName.get(name) ?? [])] as const);
    return new Map(read.flatMap(([name, registered]) => (registered === undefined ? [] : [[name, registered]])));
  } catch (error) {
    if (error instanceof Unreadable) return new Map();
    throw error;
  }
}

/** The writes of a change: the guard first, then what differs; or the tombstone with as many removals as fit beside it and the events. */
export function changeStep(
  name: string,
  { rows, guard, registered }: Partition,
  change: ServerChange,
): EventfulStep<RegisteredServer | undefined> {
  const { next, events } = change;
  const room = transactionLimit - 1 - events.length;
  if (next === null) {
    if (guard === undefined) return { result: undefined, writes: [], events: [] };
    const removals = removalsOf(rows).slice(0, room);
    return { result: undefined, writes: [guardWrite(guard, tombstone(name)), ...removals], events };
  }
  const stored = { ...next, revision: (registered?.revision ?? 0) + 1 };
  const wanted = toRows(stored);
  const others = differences(rows, wanted.others);
  if (others.length > room)
    throw new RangeError(`one change of server \`${name}\` writes ${others.length} rows, ${room} fit into a transaction`);
  return { result: stored, writes: [guardWrite(guard, wanted.guard), ...others], events };
}

/**
 * Finishes a removal: what is left of the server, its name in the index, the tombstone. Any instance may do it, several at once too:
 *
 *   tombstone v1 ── remove 99 rows, tombstone v2 ── … ── remove the name ── remove the tombstone, if still v2
 *
 * Each step is conditional on the tombstone that it saw, so that one who comes late never touches a server registered since. The name is
 * read before the tombstone is: whoever registers the server anew writes it after the tombstone is gone, and so under another version.
 */
export async function finishRemoval(servers: Table, index: { readonly table: Table; readonly key: RowKey }, name: string): Promise<void> {
  for (;;) {
    const named = await index.table.get(index.key);
    const { rows, guard } = await readPartition(servers, name);
    if (guard === undefined || !isTombstone(guard)) return;
    const removals = removalsOf(rows).slice(0, transactionLimit - 1);
    if (removals.length > 0) {
      await servers.write([guardWrite(guard, tombstone(name)), ...removals]);
    } else {
      if (named !== undefined) await index.table.write([{ kind: 'remove', row: named, etag: named.etag }]);
      await servers.write([{ kind: 'remove', row: guard, etag: guard.etag }]);
    }
  }
}

function removalsOf(rows: readonly StoredRow[]): readonly Write[] {
  return belongings(rows).map((row) => ({ kind: 'remove', row }));
}
