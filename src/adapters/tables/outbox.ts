import type { BrokerEvent } from '../../domain/event.ts';
import { instant, minutes, seconds, type Instant } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { mayPass, StoreAway } from '../../ports/store.ts';
import { compareAndSet, type Step } from './compare-and-set.ts';
import { hashKey, jsonColumns, jsonValue, timeKey } from './rows.ts';
import { removeRows, type Row, type RowKey, type Store, type TableName, type Tell } from './table.ts';

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
   * the log. Rejects with `StoreAway` where trying again can help; what can never be published here is left for a newer broker.
   * @returns when the oldest that was left was announced; null: nothing was.
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
  readonly publish: (events: readonly BrokerEvent[]) => Promise<void>;
  readonly tell: Tell;
}

export function createOutbox(store: Store, { clock, publish, tell }: OutboxOptions): Outbox {
  const announcements = store.table('outbox');
  const underWay = new Set<Promise<void>>();

  async function announce(place: Place, earlier: Announcement | undefined): Promise<Announcement> {
    const at = clock.now();
    if (earlier !== undefined && at - earlier.at < renewAfter) return earlier;
    const key = { partition: 'outbox', row: `${timeKey(at)}:${clock.uuid()}` };
    await announcements.write([{ kind: 'put', row: { ...key, columns: { table: place.table, partition: place.partition } } }]);
    return { key, at };
  }

  async function deliver(place: Place, announcement: Announcement, events: readonly BrokerEvent[]): Promise<void> {
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

  async function sweepPlace(place: Place): Promise<void> {
    const table = store.table(place.table);
    const { rows } = await table.list({ partition: place.partition, ...eventRows });
    await publish(rows.map((row) => jsonValue<BrokerEvent>(row)));
    await removeRows(table, rows);
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
        await sweepPlace(place);
        left.delete(name);
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
      let events: readonly BrokerEvent[] = [];
      const result = await compareAndSet(store.table(place.table), async () => {
        const taken = await step();
        events = taken.writes.length === 0 ? [] : taken.events;
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
      const { rows } = await announcements.list({ partition: 'outbox', below: timeKey(now - sweepAfter) });
      const announced = rows.flatMap((row) => placeOf(row) ?? []);
      const places = new Map(announced.map((place) => [nameOf(place), place]));
      const { left, away } = await sweepPlaces(places);
      // What names a place that this program does not know is left for one that does.
      const isLeft = (row: Row): boolean => {
        const place = placeOf(row);
        return place === undefined || left.has(nameOf(place));
      };
      await removeRows(
        announcements,
        rows.filter((row) => !isLeft(row) && row.row < timeKey(now - settledAfter)),
      );
      if (away.length > 0) throw away[0];
      return oldestOf(rows.filter(isLeft));
    },

    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function waitingRow(place: Place, event: BrokerEvent): Row {
  return { partition: place.partition, row: `${eventRows.from}${timeKey(event.time)}:${hashKey(event.id)}`, columns: jsonColumns(event) };
}

/** The place that an announcement names; undefined where it names none that this program knows. */
function placeOf({ columns }: Row): Place | undefined {
  const { table, partition } = columns;
  const known = table === 'servers' || table === 'access' || table === 'audits';
  return known && typeof partition === 'string' ? { table, partition } : undefined;
}

function nameOf(place: Place): string {
  return `${place.table}:${place.partition}`;
}

/** When the oldest of these announcements was made; null where there is none, or none says when. */
function oldestOf(rows: readonly Row[]): Instant | null {
  const times = rows.map((row) => Number.parseInt(row.row, 10)).filter(Number.isFinite);
  return times.length === 0 ? null : instant(Math.min(...times));
}

/** What may be told: messages of the store are made of ids and codes, others may hold anything. */
function reasonOf(error: unknown): string {
  if (error instanceof StoreAway) return error.message;
  return error instanceof Error ? error.name : typeof error;
}
