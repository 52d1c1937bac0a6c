import type { OperationRecord } from '../../domain/operation.ts';
import { millis, type Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { StoreRefused } from '../../ports/store.ts';
import { groupToRow } from './operation-rows.ts';
import type { RecordQueue } from './record-queue.ts';
import type { Row, Table } from './table.ts';

export interface GroupCommitOptions {
  readonly clock: Clock;
  readonly instance: string;
  /** How long a record may wait for others. */
  readonly waitMs: Millis;
}

export interface GroupCommit {
  append(record: OperationRecord): number | null;
  /** Stores what waits; resolves when it is stored or the store is away. */
  flush(): Promise<void>;
  /** The same once more, and no more tries: what the store does not take goes to the log. */
  close(): Promise<void>;
}

/** Pauses between tries while the store is away: doubling from the first to the longest. */
const firstPauseMs = 100;
const longestPauseMs = 5000;

/**
 * Stores records in groups: the first record that waits starts the clock, and one insert of one row stores all that came by then. One
 * insert is under way at a time, so that groups are stored in the order of their numbers.
 */
export function createGroupCommit(table: Table, queue: RecordQueue, { clock, instance, waitMs }: GroupCommitOptions): GroupCommit {
  const storeFirst = createStoreFirst(table, queue, { clock, instance });
  let failures = 0;
  let closed = false;
  /** The pause before the next inserts; undefined while nothing waits. */
  let pausing: AbortController | undefined;
  let storing: Promise<void> | undefined;

  function storeAfter(pause: Millis): void {
    const waiting = new AbortController();
    pausing = waiting;
    void clock.pause(pause, waiting.signal).then(() => (pausing === waiting ? store() : undefined));
  }

  /** Stores all that waits by now; after a failure the rest is tried again later. Never rejects. */
  function store(): Promise<void> {
    pausing?.abort();
    pausing = undefined;
    // Begun only once `storing` is set: whatever is called meanwhile finds it and starts no second one.
    storing ??= Promise.resolve()
      .then(() => storeUpTo(queue.counts().issued))
      .finally(() => {
        storing = undefined;
        if (queue.counts().waiting === 0 || closed) return;
        storeAfter(failures === 0 ? waitMs : millis(Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs)));
      });
    return storing;
  }

  async function storeUpTo(number: number): Promise<void> {
    try {
      while (waitsUpTo(number)) {
        await storeFirst();
        failures = 0;
      }
    } catch {
      failures += 1;
    }
  }

  function waitsUpTo(number: number): boolean {
    const first = queue.first();
    return first !== undefined && first <= number;
  }

  /** Inserts that are under way may have begun without the newest records: then they are followed by others. */
  async function flush(): Promise<void> {
    const { issued } = queue.counts();
    do await store();
    while (failures === 0 && waitsUpTo(issued));
  }

  return {
    append(record) {
      const number = queue.add(record);
      if (closed) queue.spill(queue.counts().waiting);
      else if (pausing === undefined && storing === undefined) storeAfter(waitMs);
      return number;
    },
    flush,
    async close() {
      closed = true;
      await flush();
      queue.spill(queue.counts().waiting);
    },
  };
}

/**
 * Stores the first group of the queue. It keeps its row until it is stored: after an insert without an answer the same key is inserted
 * again, and the refusal of a row that exists says that it is stored. Rejects with `StoreAway`; the group then stays first.
 */
function createStoreFirst(
  table: Table,
  queue: RecordQueue,
  { clock, instance }: Pick<GroupCommitOptions, 'clock' | 'instance'>,
): () => Promise<void> {
  let group: { readonly row: Row; readonly size: number } | undefined;

  function formGroup(): typeof group {
    const run = queue.front();
    return run && { row: groupToRow({ instance, at: clock.now(), run, issued: queue.counts().issued }), size: run.size };
  }

  return async () => {
    group ??= formGroup();
    if (group === undefined) return;
    const { row, size } = group;
    try {
      await table.write([{ kind: 'insert', row }]);
      queue.drop(size);
    } catch (error) {
      // A row that the store will never take must not hold up all that follow: its records go to the log.
      if (!(error instanceof StoreRefused) || !queue.spill(size)) throw error;
    }
    group = undefined;
  };
}
