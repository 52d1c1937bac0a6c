import type { NumberedRecord, OperationRecord } from '../../domain/operation.ts';
import { firstRun, type RecordRun, type Waiting } from './record-run.ts';

export interface RecordQueueOptions {
  readonly instance: string;
  /** Writes a record to the log, at once; false if that failed. */
  readonly log: (record: NumberedRecord) => boolean;
  /** How many records may wait. */
  readonly queueLength: number;
}

/** The records that wait in memory, and the numbers given out. A number is given out only with a place for its record (P3: gapless). */
export interface RecordQueue {
  /** @returns the number; null where the record can neither wait nor be written to the log: then no number is used up. */
  add(record: OperationRecord): number | null;
  /** The number of the first that waits; undefined where nothing does. */
  first(): number | undefined;
  /** The longest run from the front that one row can hold; stays in the queue until `drop`. Undefined where nothing waits. */
  front(): RecordRun | undefined;
  /** Takes so many records from the front. */
  drop(count: number): void;
  /** Writes so many records from the front to the log, and drops them; false, and nothing is dropped, if the log fails. */
  spill(count: number): boolean;
  counts(): { readonly issued: number; readonly waiting: number; readonly spilled: number };
}

export function createRecordQueue({ instance, log, queueLength }: RecordQueueOptions): RecordQueue {
  let issued = 0;
  let spilled = 0;
  let waiting: Waiting[] = [];

  return {
    add(record) {
      const number = issued + 1;
      if (waiting.length < queueLength) {
        waiting.push({ number, record });
      } else {
        if (!log({ ...record, instance, number })) return null;
        spilled += 1;
      }
      issued = number;
      return number;
    },
    first: () => waiting[0]?.number,
    front: () => firstRun(waiting),
    drop: (count) => {
      waiting = waiting.slice(count);
    },
    spill(count) {
      const written = waiting.slice(0, count).every(({ number, record }) => log({ ...record, instance, number }));
      if (!written) return false;
      waiting = waiting.slice(count);
      spilled += count;
      return true;
    },
    counts: () => ({ issued, waiting: waiting.length, spilled }),
  };
}
