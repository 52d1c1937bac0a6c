import type { NumberedRecord } from '../../src/domain/operation.ts';
import type { OperationLog } from '../../src/ports/operation-log.ts';
import { StoreAway } from '../../src/ports/store.ts';
import type { MemoryStore } from './memory-store.ts';

export interface MemoryOperationLogOptions {
  readonly instance: string;
  /** Writes a record to the log, at once; false if that failed. */
  readonly log: (record: NumberedRecord) => boolean;
  readonly queueLength: number;
}

const key = 'operations';

/** The operation log in memory. Records wait until `flush`, as they would for the next group commit. */
export function createMemoryOperationLog(store: MemoryStore, { instance, log, queueLength }: MemoryOperationLogOptions): OperationLog {
  let issued = 0;
  let spilled = 0;
  const waiting: NumberedRecord[] = [];

  return {
    instance,
    append(record) {
      const numbered = { ...record, instance, number: issued + 1 };
      if (waiting.length < queueLength) waiting.push(numbered);
      else if (log(numbered)) spilled += 1;
      else return null;
      issued += 1;
      return issued;
    },
    backlog: () => ({ issued, waiting: waiting.length, spilled }),
    async flush() {
      try {
        const group = [...waiting];
        if (group.length === 0) return;
        await store.change<readonly NumberedRecord[]>(key, [], (records) => ({ next: [...records, ...group] }));
        waiting.splice(0, group.length);
      } catch (error) {
        if (!(error instanceof StoreAway)) throw error;
      }
    },
    isCursor: (text) => /^\d+$/.test(text),
    async page({ after, limit, since, server }) {
      const { value: records } = await store.read<readonly NumberedRecord[]>(key, []);
      const found = records
        .map((item, index) => ({ item, index }))
        .filter(
          ({ item, index }) =>
            (after === null || index > Number(after)) &&
            (since === null || item.at >= since) &&
            (server === null || item.server === server),
        );
      const shown = found.slice(0, limit);
      const last = shown.at(-1);
      const next = found.length > limit && last !== undefined ? String(last.index) : null;
      return { items: shown.map(({ item }) => item), next, unreadable: [] };
    },
  };
}
