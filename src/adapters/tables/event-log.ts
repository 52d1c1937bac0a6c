import type { BrokerEvent } from '../../domain/event.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventLog } from '../../ports/events.ts';
import { dayOf, eventKey, eventKeyForm, eventRow, type KeyedEvent } from './event-rows.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { createTellOfPages } from './readable-rows.ts';
import { jsonValue, timeKey } from './rows.ts';
import { scanPage } from './scan.ts';
import { chunks, type RowKey, type Store, type Tell } from './table.ts';

/** A cursor of the event log: day and row key of the last event seen. */
const cursorForm = new RegExp(String.raw`^(\d{4}-\d{2}-\d{2})~(${eventKeyForm})$`);

/** Whether the text has the form of a cursor of the event log. */
export function isEventCursor(text: string): boolean {
  return cursorForm.test(text);
}

/**
 * The event log in table `events`, ordered by the time of the event, and those of one change as it lists them. An event that a killed
 * instance left behind comes in late, at its own time: whoever follows the log asks anew with a `since` some minutes back, and knows events
 * by their id.
 * A malformed cursor gives an empty page: `isEventCursor` tells it before.
 *
 * @param onPublished called when events that this instance published are stored; after a crash, once more. Must not throw.
 * @param tell hears of what the sweep cannot publish, and of each event that cannot be read, once.
 */
export function createEventLog(
  store: Store,
  clock: Clock,
  onPublished?: (events: readonly BrokerEvent[]) => void,
  tell: Tell = () => undefined,
): EventLog & { readonly outbox: Outbox } {
  const table = store.table('events');
  const told = createTellOfPages('an event of the log cannot be read', tell);

  async function publish(keyed: readonly KeyedEvent[]): Promise<void> {
    const days = Map.groupBy(keyed.map(eventRow), (row) => row.partition);
    for (const rows of days.values()) {
      // A transaction may name a row once only.
      const distinct = [...new Map(rows.map((row) => [row.row, row])).values()];
      for (const run of chunks(distinct)) await table.write(run.map((row) => ({ kind: 'put', row })));
    }
    if (keyed.length > 0) onPublished?.(keyed.map(({ event }) => event));
  }

  const outbox = createOutbox(store, { clock, publish, tell });
  return {
    outbox,
    publish: (events) => publish(events.map((event) => ({ key: eventKey(event), event }))),
    sweep: () => outbox.sweep(),
    isCursor: isEventCursor,
    async page({ after, limit, since, subject }) {
      const start = after === null ? startAt(since) : positionOf(after);
      if (start === undefined) return { items: [], next: null, unreadable: [] };
      return scanPage<BrokerEvent>(table, {
        start,
        limit,
        behind: cursorBehind,
        leftOut: told.leftOut,
        unpack(row) {
          if (after !== null && row.partition === start.partition && row.row === start.row) return [];
          const event = jsonValue<BrokerEvent>(row);
          told.read(row.row);
          const wanted = (since === null || event.time >= since) && (subject === null || event.subject === subject);
          return wanted ? [{ item: event, cursor: cursorOf(row) }] : [];
        },
      });
    },
  };
}

function startAt(since: number | null): RowKey {
  return since === null ? { partition: '', row: '' } : { partition: dayOf(since), row: timeKey(since) };
}

function cursorOf({ partition, row }: RowKey): string {
  return `${partition}~${row}`;
}

/** No broker writes another key than those that a cursor may hold. */
function cursorBehind(key: RowKey): string | null {
  const cursor = cursorOf(key);
  return isEventCursor(cursor) ? cursor : null;
}

function positionOf(cursor: string): RowKey | undefined {
  const [, partition, row] = cursorForm.exec(cursor) ?? [];
  return partition === undefined || row === undefined ? undefined : { partition, row };
}
