import type { BrokerEvent } from '../../domain/event.ts';
import { instant, toRfc3339 } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventLog } from '../../ports/events.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { hashKey, jsonColumns, jsonValue, timeKey } from './rows.ts';
import { scanPage } from './scan.ts';
import { chunks, type Row, type RowKey, type Store, type Tell } from './table.ts';

/** A cursor of the event log: day and row key of the last event seen. */
const cursorForm = /^(\d{4}-\d{2}-\d{2})~(\d{15}:[A-Za-z0-9_-]{22})$/;

/** Whether the text has the form of a cursor of the event log. */
export function isEventCursor(text: string): boolean {
  return cursorForm.test(text);
}

/** The row of an event: a partition a day, by time and id, so that an event stored twice is stored once. */
export function eventRow(event: BrokerEvent): Row {
  return { partition: day(event.time), row: `${timeKey(event.time)}:${hashKey(event.id)}`, columns: jsonColumns(event) };
}

/**
 * The event log in table `events`, ordered by the time of the event. An event that a killed instance left behind comes in late, at its
 * own time: whoever follows the log asks anew with a `since` some minutes back, and knows events by their id.
 * A malformed cursor gives an empty page: `isEventCursor` tells it before.
 *
 * @param onPublished called when events that this instance published are stored; after a crash, once more. Must not throw.
 * @param tell hears of what the sweep cannot publish.
 */
export function createEventLog(
  store: Store,
  clock: Clock,
  onPublished?: (events: readonly BrokerEvent[]) => void,
  tell: Tell = () => undefined,
): EventLog & { readonly outbox: Outbox } {
  const table = store.table('events');

  async function publish(events: readonly BrokerEvent[]): Promise<void> {
    const days = Map.groupBy(events.map(eventRow), (row) => row.partition);
    for (const rows of days.values()) {
      // A transaction may name a row once only.
      const distinct = [...new Map(rows.map((row) => [row.row, row])).values()];
      for (const run of chunks(distinct)) await table.write(run.map((row) => ({ kind: 'put', row })));
    }
    if (events.length > 0) onPublished?.(events);
  }

  const outbox = createOutbox(store, { clock, publish, tell });
  return {
    outbox,
    publish,
    sweep: () => outbox.sweep(),
    isCursor: isEventCursor,
    async page({ after, limit, since, subject }) {
      const start = after === null ? startAt(since) : positionOf(after);
      if (start === undefined) return { items: [], next: null };
      return scanPage<BrokerEvent>(table, {
        start,
        limit,
        behind: cursorOf,
        unpack(row) {
          if (after !== null && row.partition === start.partition && row.row === start.row) return [];
          const event = jsonValue<BrokerEvent>(row);
          const wanted = (since === null || event.time >= since) && (subject === null || event.subject === subject);
          return wanted ? [{ item: event, cursor: cursorOf(row) }] : [];
        },
      });
    },
  };
}

function day(ms: number): string {
  return toRfc3339(instant(ms)).slice(0, 10);
}

function startAt(since: number | null): RowKey {
  return since === null ? { partition: '', row: '' } : { partition: day(since), row: timeKey(since) };
}

function cursorOf({ partition, row }: RowKey): string {
  return `${partition}~${row}`;
}

function positionOf(cursor: string): RowKey | undefined {
  const [, partition, row] = cursorForm.exec(cursor) ?? [];
  return partition === undefined || row === undefined ? undefined : { partition, row };
}
