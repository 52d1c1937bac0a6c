import { expect, it } from 'vitest';
import { createHistory, minuteToRow } from '../../../src/adapters/tables/history.ts';
import { instant } from '../../../src/domain/time.ts';
import type { FleetMinute } from '../../../src/ports/history.ts';
import { Unreadable } from '../../../src/ports/store.ts';
import { createMemoryTables } from '../../support/memory-tables.ts';

const minute: FleetMinute = { at: instant(1_800_000_000_000), vaults: { 'kv-west': { rate: 0.5, circuit: 'closed' } } };

it('a row that cannot be read is overwritten: an hour is not worth a hand that mends it', async () => {
  const tables = createMemoryTables().open();
  const history = createHistory(tables);
  await tables.table('history').write([{ kind: 'put', row: { ...minuteToRow(minute), columns: { json: '{' } } }]);
  await expect(history.read()).rejects.toThrow(Unreadable);
  const seen: unknown[] = [];
  await history.change(minute.at, (stored) => {
    seen.push(stored);
    return minute;
  });
  expect(seen).toEqual([undefined]);
  expect(await history.read()).toEqual([minute]);
});
