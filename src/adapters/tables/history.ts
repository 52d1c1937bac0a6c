import { minutes } from '../../domain/time.ts';
import type { Instant } from '../../domain/time.ts';
import type { FleetMinute, History } from '../../ports/history.ts';
import { Unreadable } from '../../ports/store.ts';
import { compareAndSet } from './compare-and-set.ts';
import { createReadReadable } from './readable-rows.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { Row, RowKey, Store, Table, Tell, Write } from './table.ts';

const partition = 'minutes';
const minutesKept = 60;

/** A minute takes the row of the one an hour before it: the table never grows, and nothing has to be removed. */
function keyOf(at: Instant): RowKey {
  return { partition, row: String(Math.floor(at / minutes(1)) % minutesKept).padStart(2, '0') };
}

export function minuteToRow(minute: FleetMinute): Row {
  return { ...keyOf(minute.at), columns: jsonColumns(minute) };
}

/**
 * The last hour in table `history`: one partition, a ring of sixty rows.
 * @param tell hears once of each minute that cannot be read.
 */
export function createHistory(store: Store, tell: Tell = () => undefined): History {
  const table = store.table('history');
  const readReadable = createReadReadable(table, 'a minute of the last hour cannot be read', tell);
  return {
    change: (at, decide) =>
      compareAndSet(table, async () => {
        const { minute, over } = await seeRow(table, at);
        const next = minuteToRow(decide(minute?.at === at ? minute : undefined));
        return { result: undefined, writes: [over(next)] };
      }),
    async read() {
      return (await readReadable({ partition }, (row) => jsonValue<FleetMinute>(row))).values;
    },
  };
}

/** What the ring has where the minute belongs, and how a row is put over it. What cannot be read is worth no more than no sight at all. */
async function seeRow(
  table: Table,
  at: Instant,
): Promise<{ readonly minute: FleetMinute | undefined; readonly over: (next: Row) => Write }> {
  try {
    const row = await table.get(keyOf(at));
    if (row === undefined) return { minute: undefined, over: (next) => ({ kind: 'insert', row: next }) };
    return { minute: jsonValue<FleetMinute>(row), over: (next) => ({ kind: 'replace', row: next, etag: row.etag }) };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { minute: undefined, over: (next) => ({ kind: 'put', row: next }) };
  }
}
