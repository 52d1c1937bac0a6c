import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rowToRecords } from '../../../src/adapters/tables/operation-rows.ts';
import { firstRun, readRun } from '../../../src/adapters/tables/record-run.ts';
import { fromEntity, jsonColumns } from '../../../src/adapters/tables/rows.ts';
import type { OperationRecord } from '../../../src/domain/operation.ts';
import type { Attempt } from '../../../src/domain/refusal.ts';
import { instant, millis } from '../../../src/domain/time.ts';
import { aRecord, keyId, thumbprint } from '../../support/stored-values.ts';

/** Of few values each, so that records resemble those before them in all ways. */
const attempts = fc.record<Attempt>({
  vault: fc.constantFrom('kv-west', 'kv-north'),
  role: fc.constantFrom('primary', 'standby'),
  class: fc.constantFrom('ok', 'outage', 'circuitOpen'),
  status: fc.constantFrom(200, 503, null),
  vaultCode: fc.constantFrom('Forbidden', null),
  ms: fc.constantFrom(millis(0), millis(1.25)),
});

const records = fc.record<OperationRecord>(
  {
    at: fc.constantFrom(instant(1), instant(2)),
    requestId: fc.constantFrom('r1', 'r2', '"\u2028é'),
    server: fc.constantFrom('a', 'b'),
    database: fc.constantFrom('orders', 'stock', null),
    items: fc.constantFrom(0, 500),
    caller: fc.constantFrom('p', 'q'),
    operation: fc.constantFrom('wrap', 'batch', 'drill'),
    keyId: fc.constantFrom(keyId(), null),
    thumbprint: fc.constantFrom(thumbprint(), null),
    vault: fc.constantFrom('kv-west', null),
    role: fc.constantFrom('primary', null),
    outcome: fc.constantFrom('ok', 'Throttled'),
    attempts: fc.array(attempts, { maxLength: 3 }),
    latencyMs: fc.constantFrom(millis(0), millis(2.5)),
  },
  {
    requiredKeys: [
      'at',
      'requestId',
      'server',
      'database',
      'caller',
      'operation',
      'keyId',
      'thumbprint',
      'vault',
      'role',
      'outcome',
      'attempts',
      'latencyMs',
    ],
  },
);

function waiting(list: readonly OperationRecord[], numberOf = (index: number) => index + 1) {
  return list.map((record, index) => ({ number: numberOf(index), record }));
}

function read(json: string | undefined): readonly OperationRecord[] | undefined {
  return readRun(JSON.parse(json ?? ''));
}

describe('record run', () => {
  it('any records are read as they were told', () => {
    fc.assert(
      fc.property(fc.array(records, { minLength: 1, maxLength: 12 }), (list) => {
        const run = firstRun(waiting(list));
        expect(run).toMatchObject({ from: 1, size: list.length });
        expect(read(run?.json)).toEqual(list);
      }),
    );
  });

  it('a run ends at a hole in the numbers, and where the next record would not fit', () => {
    expect(firstRun([])).toBeUndefined();
    expect(firstRun(waiting([aRecord(), aRecord(), aRecord()], (index) => (index < 2 ? 5 + index : 9)))).toMatchObject({
      from: 5,
      size: 2,
    });
    const bulky = ['a', 'b', 'c'].map((letter) => aRecord({ requestId: letter.repeat(200_000) }));
    const run = firstRun(waiting(bulky));
    expect(run).toMatchObject({ from: 1, size: 2 });
    expect(run?.json.length).toBeLessThanOrEqual(450_000);
    expect(read(run?.json)).toEqual(bulky.slice(0, 2));
  });

  it('one record that fits into no row alone is a run all the same: the store decides', () => {
    const run = firstRun(waiting([aRecord({ requestId: 'x'.repeat(500_000) }), aRecord()]));
    expect(run).toMatchObject({ from: 1, size: 1 });
  });

  it('records that differ in request, database and times alone take less than a third of the characters', () => {
    const list = Array.from({ length: 100 }, (_, index) =>
      aRecord({
        requestId: `6f2c1a0e-93b7-4a51-8a0c-2f6f5d0b7e11/${index}`,
        database: `db-${index}`,
        attempts: [{ vault: 'kv-west', role: 'primary', class: 'ok', status: 200, vaultCode: null, ms: millis(index / 4) }],
        latencyMs: millis(index / 2),
      }),
    );
    const run = firstRun(waiting(list));
    expect(run?.json.length).toBeLessThan(JSON.stringify(list).length / 3);
    expect(read(run?.json)).toEqual(list);
  });

  const whole = aRecord({ attempts: [] });
  const attempt = { vault: 'kv-west', role: 'primary', class: 'ok', status: 200, vaultCode: null, ms: 1 };

  it.each<[string, unknown]>([
    ['no list', {}],
    ['nothing', null],
    ['a list of nothing', [null]],
    ['a record without fields', [{}]],
    ['a first record that tells differences', [{ requestId: 'r1', attempts: [] }]],
    ['a record without attempts', [whole, { requestId: 'r2' }]],
    ['attempts that are no list', [{ ...whole, attempts: null }]],
    ['a time in the first record', [{ ...whole, attempts: [1] }]],
    ['a time that has no like before it', [{ ...whole, attempts: [attempt] }, { attempts: [1, 2] }]],
    ['an attempt that is nothing', [{ ...whole, attempts: [null] }]],
  ])('%s is no run: the row was not written by a broker', (_what, run) => {
    expect(readRun(run)).toBeUndefined();
    const row = fromEntity({ partitionKey: '2026-11-22T06', rowKey: 'r', schema: 3, instance: 'i1', from: '1', ...jsonColumns(run) });
    expect(() => rowToRecords(row)).toThrow('row `r` cannot be read: it was not written by a broker');
  });

  it('a row of schema 2, whose records are whole, is read', () => {
    const list = [aRecord({ items: 3 }), aRecord({ requestId: 'r2' })];
    const columns = { instance: 'i1', from: '4', to: '5', issued: '5', ...jsonColumns(list) };
    const row = fromEntity({ partitionKey: '2026-11-22T06', rowKey: 'r', schema: 2, ...columns });
    expect(rowToRecords(row)).toEqual(list.map((record, index) => ({ ...record, instance: 'i1', number: 4 + index })));
  });
});
