import type { BrokerEvent } from '../../src/domain/event.ts';
import type { EventLog } from '../../src/ports/events.ts';
import type { MemoryStore } from './memory-store.ts';

const prefix = 'event/';

function keyOf(event: BrokerEvent): string {
  return `${prefix}${String(event.time).padStart(15, '0')}/${event.id}`;
}

/** The event log in memory. Changes of the other memory ports put their events here at once, so that there is nothing to sweep. */
export function createMemoryEventLog(store: MemoryStore): EventLog {
  return {
    publish: (events) => putEvents(store, events),
    async page({ after, limit, since, subject }) {
      const events = await store.list<BrokerEvent>(prefix);
      const found = events.filter(
        (event) =>
          (after === null || keyOf(event) > after) &&
          (since === null || event.time >= since) &&
          (subject === null || event.subject === subject),
      );
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return { items, next: found.length > limit && last !== undefined ? keyOf(last) : null };
    },
    isCursor: (text) => text.startsWith(prefix),
    sweep: () => Promise.resolve(null),
  };
}

export async function putEvents(store: MemoryStore, events: readonly BrokerEvent[]): Promise<void> {
  for (const event of events) await store.change<BrokerEvent | undefined>(keyOf(event), undefined, () => ({ next: event }));
}
