import type { BrokerEvent } from '../../src/domain/event.ts';
import type { EventLog } from '../../src/ports/events.ts';
import type { MemoryStore } from './memory-store.ts';

const prefix = 'event/';

interface Kept {
  readonly key: string;
  readonly event: BrokerEvent;
}

function keyOf({ time, id }: BrokerEvent, number: number): string {
  return `${prefix}${String(time).padStart(15, '0')}/${String(number).padStart(2, '0')}/${id}`;
}

/** The event log in memory. Changes of the other memory ports put their events here at once, so that there is nothing to sweep. */
export function createMemoryEventLog(store: MemoryStore): EventLog {
  return {
    publish: (events) =>
      put(
        store,
        events.map((event) => ({ key: keyOf(event, 0), event })),
      ),
    async page({ after, limit, since, subject }) {
      const kept = await store.list<Kept>(prefix);
      const found = kept.filter(
        ({ key, event }) =>
          (after === null || key > after) && (since === null || event.time >= since) && (subject === null || event.subject === subject),
      );
      const shown = found.slice(0, limit);
      return { items: shown.map(({ event }) => event), next: found.length > limit ? (shown.at(-1)?.key ?? null) : null, unreadable: [] };
    },
    isCursor: (text) => text.startsWith(prefix),
    sweep: () => Promise.resolve(null),
  };
}

/** The events of one change, in its order. */
export async function putEvents(store: MemoryStore, events: readonly BrokerEvent[]): Promise<void> {
  await put(
    store,
    events.map((event, number) => ({ key: keyOf(event, number), event })),
  );
}

async function put(store: MemoryStore, events: readonly Kept[]): Promise<void> {
  for (const one of events) await store.change<Kept | undefined>(one.key, undefined, () => ({ next: one }));
}
