import { minutes } from '../../domain/time.ts';
import type { Instant } from '../../domain/time.ts';
import type { FleetMinute, History } from '../../ports/history.ts';
import { compareAndSet } from './compare-and-set.ts';
import { jsonColumns, jsonValue } from './rows.ts';
import type { Row, RowKey, Store } from './table.ts';

const partition = 'minutes';
const minutesKept = 60;

/** A minute takes the row of the one an hour before it: the table never grows, and nothing has to be removed. */
function keyOf(at: Instant): RowKey {
  return { partition, row: String(Math.floor(at / minutes(1)) % minutesKept).padStart(2, '0') };
}

export function minuteToRow(minute: FleetMinute): Row {
  return { ...keyOf(minute.at), columns: jsonColumns(minute) };
}

/** The last hour in table `history`: one partition, a ring of sixty rows. */
export function createHistory(store: Store): History {
  const table = store.table('history');
  return {
    change: (at, decide) =>
      compareAndSet(table, async () => {
        const row = await table.get(keyOf(at));
        const stored = row && jsonValue<FleetMinute>(row);
        const next = minuteToRow(decide(stored?.at === at ? stored : undefined));
        const write = row === undefined ? { kind: 'insert' as const, row: next } : { kind: 'replace' as const, row: next, etag: row.etag };
        return { result: undefined, writes: [write] };
      }),
    async read() {
      const { rows } = await table.list({ partition });
      return rows.map((row) => jsonValue<FleetMinute>(row));
    },
  };
}
