import type { NumberedRecord, OperationRecord } from '../domain/operation.ts';
import type { LogPage, PageRequest } from './events.ts';

/**
 * Records of key operations (P3). `append` returns at once: records are stored within 200 ms in group commits, under gapless numbers of this
 * instance. Store away: up to 10,000 wait in memory; beyond that each is written to the log before `append` returns.
 */
export interface OperationLog {
  /**
   * @returns the record's number; or null if it can neither wait nor be written to the log: then, and only then, the operation is refused.
   */
  append(record: OperationRecord): number | null;
  /** Name of this instance in the records. */
  readonly instance: string;
  /** Oldest first; by server and by time of the operation where asked. Rejects with `StoreAway`. */
  page(request: PageRequest & { readonly since: number | null; readonly server: string | null }): Promise<LogPage<NumberedRecord>>;
  /** Whether the text has the form of a `next` of this list. A page behind any other text is empty. */
  isCursor(text: string): boolean;
  /** Stores what waits; resolves when it is stored or the store is away. */
  flush(): Promise<void>;
  /** Number of the newest record, how many wait in memory, and how many went to the log alone since the start. */
  backlog(): { readonly issued: number; readonly waiting: number; readonly spilled: number };
}
