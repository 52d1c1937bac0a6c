import type { NumberedRecord } from '../../domain/operation.ts';
import { millis, minutes, type Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import type { OperationLog } from '../../ports/operation-log.ts';
import { createGroupCommit } from './group-commit.ts';
import { behindAll, behindRow, isOperationCursor, fromCursor, hourOf, rowToRecords, toCursor } from './operation-rows.ts';
import { createTellOfPages } from './readable-rows.ts';
import { createRecordQueue } from './record-queue.ts';
import { timeKey } from './rows.ts';
import { scanPage } from './scan.ts';
import type { RowKey, Store, Tell } from './table.ts';

export interface OperationLogOptions {
  readonly clock: Clock;
  /** Name of this instance; another at each start of the process, since numbers begin at 1. */
  readonly instance: string;
  /** Writes a record to the log, at once; false if that failed. */
  readonly log: (record: NumberedRecord) => boolean;
  /** Within what time a record is stored (P3); default and upper bound 200 ms. Half of it a record may wait, half is the write's. */
  readonly commitMs?: Millis;
  /** How many records may wait in memory; default 10,000. */
  readonly queueLength?: number;
  /** Hears once of each row that a page leaves out since it cannot be read; default: nobody does. */
  readonly tell?: Tell;
}

/** Clocks are set back by small amounts: a record may be stored under an hour before its own time. */
const clockSetBack = minutes(1);

/**
 * The operation log in table `operations`: a row a group, a partition an hour of commit. Oldest first means by the time of commit; a group
 * that a store's absence held back stands where it was formed. A malformed cursor gives an empty page: `isOperationCursor` tells it before.
 */
export function createOperationLog(store: Store, options: OperationLogOptions): OperationLog & { close(): Promise<void> } {
  const table = store.table('operations');
  const { clock, instance, log, commitMs = millis(200), queueLength = 10_000, tell = () => undefined } = options;
  const queue = createRecordQueue({ instance, log, queueLength });
  const commit = createGroupCommit(table, queue, { clock, instance, waitMs: millis(commitMs / 2) });
  const told = createTellOfPages('records of key operations cannot be read', tell);

  return {
    instance,
    append: (record) => commit.append(record),
    flush: () => commit.flush(),
    backlog: () => queue.counts(),
    close: () => commit.close(),
    isCursor: isOperationCursor,
    async page({ after, limit, since, server }) {
      const cursor = after === null ? undefined : fromCursor(after);
      if (after !== null && cursor === undefined) return { items: [], next: null, unreadable: [] };
      return scanPage<NumberedRecord>(table, {
        start: cursor ?? startAt(since),
        within: cursor !== undefined && cursor.index < behindAll,
        limit,
        behind: cursorBehind,
        leftOut: told.leftOut,
        unpack: (row) => {
          const records = rowToRecords(row);
          told.read(row.row);
          const seen = cursor !== undefined && row.partition === cursor.partition && row.row === cursor.row ? cursor.index : -1;
          return records
            .map((item, index) => ({ item, index, cursor: toCursor(row, index) }))
            .filter(
              ({ item, index }) => index > seen && (since === null || item.at >= since) && (server === null || item.server === server),
            );
        },
      });
    },
  };
}

/** No broker writes another key than those that a cursor may hold. */
function cursorBehind(key: RowKey): string | null {
  const cursor = behindRow(key);
  return isOperationCursor(cursor) ? cursor : null;
}

function startAt(since: number | null): RowKey {
  if (since === null) return { partition: '', row: '' };
  const from = Math.max(0, since - clockSetBack);
  return { partition: hourOf(from), row: timeKey(from) };
}
