import { expect, it } from 'vitest';
import { createHistory, minuteToRow } from '../../../src/adapters/tables/history.ts';
import { instant } from '../../../src/domain/time.ts';
import type { FleetMinute } from '../../../src/ports/history.ts';
import { createMemoryTables } from '../../support/memory-tables.ts';

const minute: FleetMinute = { at: instant(1_800_000_000_000), vaults: { 'kv-west': { rate: 0.5, circuit: 'closed' } } };

it('a row that cannot be read is overwritten: an hour is not worth a hand that mends it', async () => {
  const tables = createMemoryTables().open();
  const history = createHistory(tables);
  await tables.table('history').write([{ kind: 'put', row: { ...minuteToRow(minute), columns: { json: '{' } } }]);
  expect(await history.read()).toEqual([]);
  const seen: unknown[] = [];
  await history.change(minute.at, (stored) => {
    seen.push(stored);
    return minute;
  });
  expect(seen).toEqual([undefined]);
  expect(await history.read()).toEqual([minute]);
});

it('a row that cannot be read hides no other minute, and is told once until it is written again', async () => {
  const tables = createMemoryTables().open();
  const told: unknown[] = [];
  const history = createHistory(tables, (_level, message, { row }) => void told.push([message, row]));
  const others = [1, 2].map((n) => ({ ...minute, at: instant(minute.at + n * 60_000) }));
  for (const one of others) await history.change(one.at, () => one);
  const row = minuteToRow(minute);
  await tables.table('history').write([{ kind: 'put', row: { ...row, columns: { ...row.columns, schema: 9 } } }]);
  for (let looks = 0; looks < 3; looks += 1) expect(await history.read()).toEqual(others);
  expect(told).toEqual([['a minute of the last hour cannot be read', row.row]]);
});
