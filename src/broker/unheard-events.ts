import type { DeliveryState } from '../domain/delivery.ts';
import type { BrokerEvent } from '../domain/event.ts';
import type { Instant } from '../domain/time.ts';
import { mostSettled } from '../policy/delivery.ts';
import type { EventLog, LogPage } from '../ports/events.ts';

/** So many events of the log are read at once, and in all, settled events included. What cannot be read is no event: it is passed by. */
const eventsPerRead = 500;
const mostEvents = 2 * eventsPerRead + mostSettled;

/**
 * Events of the log that a webhook has not heard, in order. `unreadFrom`: where the log was not read to its end, from when on it was not.
 * `unreadable`: the times of those that cannot be read, however many, oldest first.
 */
export interface Unheard {
  readonly fresh: readonly BrokerEvent[];
  readonly unreadFrom: Instant | null;
  readonly unreadable: readonly Instant[];
}

/** Reads at most `most` events that are neither settled nor held. Rejects with `StoreAway`. */
export async function readUnheard(events: EventLog, state: DeliveryState, most: number): Promise<Unheard> {
  const known = new Set([...state.settled.map(({ id }) => id), ...state.held.map(({ event }) => event.id)]);
  const fresh: BrokerEvent[] = [];
  const unreadable: Instant[] = [];
  let after: string | null = null;
  let last: Instant = state.from;
  for (let seen = 0; seen < mostEvents;) {
    const page: LogPage<BrokerEvent> = await events.page({ after, limit: eventsPerRead, since: state.from, subject: null });
    for (const at of page.unreadable) unreadable.push(at);
    for (const event of page.items) {
      if (known.has(event.id)) continue;
      if (fresh.length >= most) return { fresh, unreadFrom: event.time, unreadable };
      known.add(event.id);
      fresh.push(event);
    }
    seen += page.items.length;
    last = page.items.at(-1)?.time ?? last;
    if (page.next === null) return { fresh, unreadFrom: null, unreadable };
    after = page.next;
  }
  return { fresh, unreadFrom: last, unreadable };
}
