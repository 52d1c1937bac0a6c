import { expect, it } from 'vitest';
import { createDeliveries, deadLetterToRow } from '../../../src/adapters/tables/deliveries.ts';
import { instant } from '../../../src/domain/time.ts';
import { createMemoryTables } from '../../support/memory-tables.ts';
import { anEvent, morning } from '../../support/stored-values.ts';

it('a dead letter that cannot be read hides no other, and is told once', async () => {
  const tables = createMemoryTables().open();
  const told: unknown[] = [];
  const deliveries = createDeliveries(tables, (_level, message, { row }) => void told.push([message, row]));
  const letters = [0, 1, 2].map((n) => ({
    event: anEvent(`e${n}`, { time: instant(morning + n) }),
    diedAt: instant(morning),
    reason: 'answered 500',
  }));
  await deliveries.bury('ops', letters);
  const row = deadLetterToRow('ops', letters[1]!);
  await tables.table('deliveries').write([{ kind: 'put', row: { ...row, columns: { ...row.columns, schema: 9 } } }]);
  for (let looks = 0; looks < 3; looks += 1) expect(await deliveries.deadLetters('ops', 10)).toEqual([letters[0], letters[2]]);
  expect(told).toEqual([['an event that was given up cannot be read', row.row]]);
});
