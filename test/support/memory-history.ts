import type { FleetMinute, History } from '../../src/ports/history.ts';
import type { MemoryStore } from './memory-store.ts';

const minuteMs = 60_000;

/** The last hour in memory, in a ring as in the tables. */
export function createMemoryHistory(store: MemoryStore): History {
  return {
    async change(at, decide) {
      await store.change<FleetMinute | undefined>(`history/${(at / minuteMs) % 60}`, undefined, (stored) => ({
        next: decide(stored?.at === at ? stored : undefined),
      }));
    },
    read: () => store.list<FleetMinute>('history/'),
  };
}
