import type { BrokerEvent } from '../../domain/event.ts';
import { minutes, seconds, type Instant } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { mayPass, StoreAway, Unreadable } from '../../ports/store.ts';
import { compareAndSet, type Step } from './compare-and-set.ts';
import { inOrderOfChange, oldestWaitedFor, type KeyedEvent } from './event-rows.ts';
import { createReadReadable, type ReadReadable } from './readable-rows.ts';
import { jsonColumns, jsonValue, timeKey } from './rows.ts';
import { removeRows, type Row, type RowKey, type Store, type StoredRow, type TableName, type Tell } from './table.ts';

/** The partition that a change is made in. */
export interface Place {
  readonly table: Extract<TableName, 'servers' | 'access' | 'audits'>;
  readonly partition: string;
}

/** A step of a compare-and-set loop with the events that tell of its change. */
export interface EventfulStep<T> extends Step<T> {
  readonly events: readonly BrokerEvent[];
}

/**
 * Carries events from a change to the event log so that no crash can lose or invent one:
 *
 *   announce (row in `outbox`) ── change + `event:` rows, one transaction ── publish ── remove `event:` rows ── remove announcement
 *   crash here: no change, no event │ here: the sweep finds the announcement, publishes (twice is once), removes
 */
export interface Outbox {
  /** The compare-and-set loop round `step`; returns when the change is durable. The events reach the log right after, in the background. */
  change<T>(place: Place, step: () => Promise<EventfulStep<T>>): Promise<T>;
  /**
   * Publishes what killed instances announced and did not publish. A place where that fails keeps no other from its turn, and is told to
   * the log. Rejects with `StoreAway` where trying again can help; what can never be published here is told once, and left for a newer broker.
   * @returns when the oldest that was left was announced, within the time that it is waited for; null: nothing was.
   */
  sweep(): Promise<Instant | null>;
  /** Resolves when nothing is being published. */
  idle(): Promise<void>;
}

interface Announcement {
  readonly key: RowKey;
  readonly at: Instant;
}

/** Row keys of events waiting in a place: from `event:` to below `event;`. */
export const eventRows = { from: 'event:', below: 'event;' } as const;

/** A change is in flight for at most so long after its announcement; then the announcement is renewed before the next try. */
const renewAfter = seconds(10);
/** Only an announcement that no change can follow any more is removed unheard. Far beyond `renewAfter`, a write's time limit and the clocks' difference. */
const settledAfter = minutes(5);
/** Younger announcements are left to the instance that made them. */
const sweepAfter = seconds(5);
/** After so many places that the store did not answer for it is the store that is away, and each more would only take its time limit. */
const mostUnanswered = 8;

export interface OutboxOptions {
  readonly clock: Clock;
  readonly publish: (events: readonly KeyedEvent[]) => Promise<void>;
  readonly tell: Tell;
}

export function createOutbox(store: Store, { clock, publish, tell }: OutboxOptions): Outbox {
  const announcements = store.table('outbox');
  const underWay = new Set<Promise<void>>();
  const readAnnounced = createReadReadable(announcements, 'an announcement of events cannot be read', tell);
  const waitingIn = (table: Place['table']): ReadReadable =>
    createReadReadable(store.table(table), 'an event of a change cannot be read', (level, what, about) => {
      tell(level, what, { table, ...about });
    });
  const readWaiting = { servers: waitingIn('servers'), access: waitingIn('access'), audits: waitingIn('audits') };

  async function announce(place: Place, earlier: Announcement | undefined): Promise<Announcement> {
    const at = clock.now();
    if (earlier !== undefined && at - earlier.at < renewAfter) return earlier;
    const key = { partition: 'outbox', row: `${timeKey(at)}:${clock.uuid()}` };
    await announcements.write([{ kind: 'put', row: { ...key, columns: { table: place.table, partition: place.partition } } }]);
    return { key, at };
  }

  async function deliver(place: Place, announcement: Announcement, events: readonly KeyedEvent[]): Promise<void> {
    await publish(events);
    await removeRows(
      store.table(place.table),
      events.map((event) => waitingRow(place, event)),
    );
    await removeRows(announcements, [announcement.key]);
  }

  function inBackground(work: Promise<void>): void {
    // Nothing is lost where this fails: the announcement stands, and the sweep takes over.
    const settled = work.catch(() => undefined).finally(() => underWay.delete(settled));
    underWay.add(settled);
  }

  /** @returns whether nothing is left there that cannot be read. */
  async function sweepPlace(place: Place): Promise<boolean> {
    const { values, leftOut } = await readWaiting[place.table]({ partition: place.partition, ...eventRows }, waitingEvent);
    await publish(values);
    await removeRows(
      store.table(place.table),
      values.map((event) => waitingKey(place, event)),
    );
    return leftOut.size === 0;
  }

  /** Sweeps each place, whatever becomes of the others. `left`: the names of those that are not swept. `away`: the store did not answer. */
  async function sweepPlaces(
    places: ReadonlyMap<string, Place>,
  ): Promise<{ readonly left: ReadonlySet<string>; readonly away: unknown[] }> {
    const left = new Set(places.keys());
    const away: unknown[] = [];
    for (const [name, place] of places) {
      if (away.length === mostUnanswered) break;
      try {
        if (await sweepPlace(place)) left.delete(name);
      } catch (error) {
        tell('error', 'events of a change cannot be published', { ...place, reason: reasonOf(error) });
        if (mayPass(error)) away.push(error);
      }
    }
    return { left, away };
  }

  return {
    async change(place, step) {
      let announcement: Announcement | undefined;
      let events: readonly KeyedEvent[] = [];
      const result = await compareAndSet(store.table(place.table), async () => {
        const taken = await step();
        events = taken.writes.length === 0 ? [] : inOrderOfChange(taken.events);
        if (events.length > 0) announcement = await announce(place, announcement);
        return {
          result: taken.result,
          writes: [...taken.writes, ...events.map((event) => ({ kind: 'put' as const, row: waitingRow(place, event) }))],
        };
      });
      if (announcement !== undefined) inBackground(deliver(place, announcement, events));
      return result;
    },

    async sweep() {
      const now = clock.now();
      const { values: announced, leftOut } = await readAnnounced({ partition: 'outbox', below: timeKey(now - sweepAfter) }, announcedPlace);
      const { left, away } = await sweepPlaces(new Map(announced.map(({ place }) => [nameOf(place), place])));
      const isLeft = ({ place }: AnnouncedPlace): boolean => left.has(nameOf(place));
      await removeRows(
        announcements,
        announced.filter((one) => !isLeft(one) && one.row < timeKey(now - settledAfter)),
      );
      if (away.length > 0) throw away[0];
      const allLeft = [...leftOut.keys(), ...announced.filter(isLeft).map(({ row }) => row)];
      return oldestWaitedFor(allLeft, now);
    },

    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

/** An event waits under the key that it will have in the log, whoever publishes it. */
function waitingKey(place: Place, { key }: KeyedEvent): RowKey {
  return { partition: place.partition, row: `${eventRows.from}${key}` };
}

function waitingRow(place: Place, keyed: KeyedEvent): Row {
  return { ...waitingKey(place, keyed), columns: jsonColumns(keyed.event) };
}

function waitingEvent(row: StoredRow): KeyedEvent {
  return { key: row.row.slice(eventRows.from.length), event: jsonValue<BrokerEvent>(row) };
}

interface AnnouncedPlace extends RowKey {
  readonly place: Place;
}

/** @throws Unreadable where the announcement names no place that this program knows. */
function announcedPlace({ partition, row, columns }: StoredRow): AnnouncedPlace {
  const { table, partition: named } = columns;
  if ((table === 'servers' || table === 'access' || table === 'audits') && typeof named === 'string')
    return { partition, row, place: { table, partition: named } };
  throw new Unreadable(`row \`${row}\` announces events in table \`${String(table)}\`, which this broker does not know: update it`);
}

function nameOf(place: Place): string {
  return `${place.table}:${place.partition}`;
}

/** What may be told: messages of the store are made of ids and codes, others may hold anything. */
function reasonOf(error: unknown): string {
  if (error instanceof StoreAway) return error.message;
  return error instanceof Error ? error.name : typeof error;
}
