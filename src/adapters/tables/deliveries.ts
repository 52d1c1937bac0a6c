import type { DeadLetter, DeliveryState } from '../../domain/delivery.ts';
import type { Deliveries } from '../../ports/deliveries.ts';
import { compareAndSet } from './compare-and-set.ts';
import { createReadReadable } from './readable-rows.ts';
import { hashKey, jsonColumns, jsonValue, timeKey } from './rows.ts';
import { chunks, type Row, type Store, type Tell } from './table.ts';

const stateKey = 'state';
/** Row keys of dead letters: from `dead:` to below `dead;`. */
const deadRows = { from: 'dead:', below: 'dead;' } as const;

export function deliveryToRow(webhook: string, state: DeliveryState): Row {
  return { partition: webhook, row: stateKey, columns: jsonColumns(state) };
}

export function deadLetterToRow(webhook: string, letter: DeadLetter): Row {
  const { time, id } = letter.event;
  return { partition: webhook, row: `${deadRows.from}${timeKey(time)}:${hashKey(id)}`, columns: jsonColumns(letter) };
}

/**
 * Deliveries in table `deliveries`: a partition a webhook, with a row of its state and one a dead letter.
 * @param tell hears once of each dead letter that cannot be read.
 */
export function createDeliveries(store: Store, tell: Tell = () => undefined): Deliveries {
  const table = store.table('deliveries');
  const readLetters = createReadReadable(table, 'an event that was given up cannot be read', tell);
  return {
    async read(webhook) {
      const row = await table.get({ partition: webhook, row: stateKey });
      return row && jsonValue<DeliveryState>(row);
    },

    change: (webhook, decide) =>
      compareAndSet<DeliveryState | undefined>(table, async () => {
        const stored = await table.get({ partition: webhook, row: stateKey });
        const next = decide(stored && jsonValue<DeliveryState>(stored));
        if (next === null) return { result: undefined, writes: [] };
        const row = deliveryToRow(webhook, next);
        return { result: next, writes: [stored === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag: stored.etag }] };
      }),

    async bury(webhook, letters) {
      const rows = new Map(letters.map((letter) => deadLetterToRow(webhook, letter)).map((row) => [row.row, row]));
      for (const run of chunks([...rows.values()])) await table.write(run.map((row) => ({ kind: 'put', row })));
    },

    async deadLetters(webhook, limit) {
      const { values } = await readLetters({ partition: webhook, ...deadRows }, (row) => jsonValue<DeadLetter>(row));
      return values.toSorted((a, b) => a.diedAt - b.diedAt).slice(-limit);
    },
  };
}
