import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linkRow } from '../../../src/adapters/tables/access-log.ts';
import {
  accountHolder,
  accountKey,
  accountToRow,
  rowToAccount,
  rowToSum,
  sumToRow,
} from '../../../src/adapters/tables/association-rows.ts';
import { auditRow, pageToRow, progressToRow, reportToRows } from '../../../src/adapters/tables/audit-store.ts';
import { budgetToRow } from '../../../src/adapters/tables/budget-ledger.ts';
import { deadLetterToRow, deliveryToRow } from '../../../src/adapters/tables/deliveries.ts';
import { eventKey, eventRow } from '../../../src/adapters/tables/event-rows.ts';
import { minuteToRow } from '../../../src/adapters/tables/history.ts';
import { reportToRow } from '../../../src/adapters/tables/instances.ts';
import { groupToRow, rowToRecords } from '../../../src/adapters/tables/operation-rows.ts';
import { firstRun } from '../../../src/adapters/tables/record-run.ts';
import {
  columnsText,
  fromEntity,
  jsonValue,
  rowSchema,
  textColumns,
  timeKey,
  toEntity,
  type Entity,
} from '../../../src/adapters/tables/rows.ts';
import { fromRows, toRows } from '../../../src/adapters/tables/server-rows.ts';
import { standingRow } from '../../../src/adapters/tables/standings.ts';
import type { Row } from '../../../src/adapters/tables/table.ts';
import { vaultToRows } from '../../../src/adapters/tables/vault-rows.ts';
import type { Audit, AuditFinding } from '../../../src/domain/audit.ts';
import type { LinkAccess } from '../../../src/domain/access.ts';
import type { BudgetRow } from '../../../src/domain/budget.ts';
import type { DeadLetter, DeliveryState } from '../../../src/domain/delivery.ts';
import type { BrokerEvent } from '../../../src/domain/event.ts';
import type { Vault } from '../../../src/domain/vault.ts';
import type { AuditPage, AuditProgress } from '../../../src/ports/audit-store.ts';
import type { ServerStanding } from '../../../src/ports/registry.ts';
import type { FleetMinute } from '../../../src/ports/history.ts';
import type { InstanceReport } from '../../../src/ports/instances.ts';
import { StoreAway } from '../../../src/ports/store.ts';

/** What a vector says: the rows as they lie in the store, and the value that they mean. */
interface Vector {
  readonly rows: readonly Entity[];
  readonly value: unknown;
}

/** How rows are read, as plain JSON, and written again. */
interface Codec {
  decode(rows: readonly Row[]): unknown;
  encode(rows: readonly Row[]): readonly Row[];
}

const codecs: Readonly<Record<string, Codec>> = {
  server: {
    decode: (rows) => {
      const server = fromRows(rows);
      return { ...server, databases: Object.fromEntries(server?.databases ?? []) };
    },
    encode: (rows) => {
      const { guard, others } = toRows(fromRows(rows)!);
      return [guard, ...others];
    },
  },
  vault: { decode: ([row]) => jsonValue(row!), encode: ([row]) => vaultToRows(jsonValue<Vault>(row!)) },
  'link-access': { decode: ([row]) => jsonValue(row!), encode: ([row]) => [linkRow(jsonValue<LinkAccess>(row!))] },
  'association-account': { decode: ([row]) => rowToAccount(row), encode: ([row]) => [accountToRow(row!, rowToAccount(row))] },
  'association-sum': { decode: ([row]) => rowToSum(row), encode: ([row]) => [sumToRow(row!.partition, rowToSum(row))] },
  event: {
    decode: ([row]) => jsonValue(row!),
    encode: ([row]) => {
      const event = jsonValue<BrokerEvent>(row!);
      return [eventRow({ key: eventKey(event), event })];
    },
  },
  'operation-group': {
    decode: ([row]) => rowToRecords(row!),
    encode: ([row]) => {
      const run = firstRun(rowToRecords(row!).map(({ instance: _, number, ...record }) => ({ number, record })))!;
      return [groupToRow({ instance: 'i1', at: Number(row!.row.slice(0, 15)), issued: Number(row!.columns['issued']), run })];
    },
  },
  /** Written by a broker before records told differences. */
  'operation-group-schema-2': { decode: ([row]) => rowToRecords(row!), encode: (rows) => rows },
  'instance-report': { decode: ([row]) => jsonValue(row!), encode: ([row]) => [reportToRow(jsonValue<InstanceReport>(row!))] },
  audit: { decode: ([row]) => jsonValue(row!), encode: ([row]) => [auditRow(jsonValue<Audit>(row!))] },
  'audit-progress': { decode: ([row]) => jsonValue(row!), encode: ([row]) => [progressToRow(jsonValue<AuditProgress>(row!))] },
  'audit-page': { decode: ([row]) => jsonValue(row!), encode: ([row]) => [pageToRow(row!.partition, jsonValue<AuditPage>(row!))] },
  'audit-report': {
    decode: ([row]) => jsonValue(row!),
    encode: ([row]) => reportToRows(row!.partition, { of: 'server', name: 'sql-a', findings: jsonValue<readonly AuditFinding[]>(row!) }),
  },
  'delivery-state': {
    decode: ([row]) => jsonValue(row!),
    encode: ([row]) => [deliveryToRow(row!.partition, jsonValue<DeliveryState>(row!))],
  },
  'dead-letter': { decode: ([row]) => jsonValue(row!), encode: ([row]) => [deadLetterToRow(row!.partition, jsonValue<DeadLetter>(row!))] },
  'fleet-minute': { decode: ([row]) => jsonValue(row!), encode: ([row]) => [minuteToRow(jsonValue<FleetMinute>(row!))] },
  standing: { decode: ([row]) => jsonValue(row!), encode: ([row]) => [standingRow(jsonValue<ServerStanding>(row!))] },
  budget: { decode: ([row]) => jsonValue(row!), encode: ([row]) => [budgetToRow(row!.partition, jsonValue<BudgetRow>(row!))] },
};

const folder = join(import.meta.dirname, '../../vectors/rows');

describe('rows', () => {
  it('every kind of row has a vector', () => {
    expect(readdirSync(folder).sort()).toEqual(
      Object.keys(codecs)
        .map((name) => `${name}.json`)
        .sort(),
    );
  });

  it.each(Object.entries(codecs))('vector `%s`: is read as its value says, and written again as it was', (name, codec) => {
    const vector = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Vector;
    const rows = vector.rows.map((row) => fromEntity(row));
    expect(codec.decode(rows)).toEqual(vector.value);
    expect(codec.encode(rows).map(toEntity)).toEqual(vector.rows);
  });

  it('schema 1: a server without an incarnation, and its account under its name, are read', () => {
    const server = { partitionKey: 'sql-demo', rowKey: 'server', schema: 1, revision: 7, json: '{"name":"sql-demo"}', etag: 'e' };
    expect(fromRows([fromEntity(server)])).toMatchObject({ incarnation: '', revision: 7 });
    const held = { settled: { counts: { GeneralPurpose: 3, BusinessCritical: 1 }, revision: 7 } };
    const claims = { c1: { counts: { GeneralPurpose: 2, BusinessCritical: 2 }, at: 1 } };
    const row = fromEntity({ partitionKey: 'kv-west', rowKey: 'server:sql-demo', schema: 1, json: JSON.stringify({ ...held, claims }) });
    expect(accountHolder(row)).toEqual({ server: 'sql-demo', incarnation: '' });
    expect(accountKey({ vault: 'kv-west', ...accountHolder(row) })).toMatchObject({ row: row.row });
    // So much it had added to the sum, by the rule of schema 1.
    expect(rowToAccount(row).counted).toEqual({ GeneralPurpose: 3, BusinessCritical: 2 });
  });

  it('every row carries the oldest schema that has its form, so that an older broker reads it; one that nobody here knows is refused', () => {
    const entity = toEntity({ partition: 'p', row: 'r', columns: { n: 1 } });
    expect(entity['schema']).toBe(2);
    expect(toEntity({ partition: 'p', row: 'r', columns: {}, schema: rowSchema })['schema']).toBe(rowSchema);
    expect(() => fromEntity({ ...entity, schema: rowSchema + 1 })).toThrow(StoreAway);
    expect(() => fromEntity({ partitionKey: 'p', rowKey: 'r' })).toThrow(StoreAway);
  });

  it('a row that no broker wrote is refused', () => {
    expect(() => jsonValue({ row: 'r', columns: { json: '{"cut' } })).toThrow(StoreAway);
    expect(() => jsonValue({ row: 'r', columns: {} })).toThrow(StoreAway);
  });

  it("any text comes back whole from its columns, none of which exceeds the store's bound or cuts a character", () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(2500), (text, times) => {
        const whole = text.repeat(times);
        const columns = textColumns(whole);
        expect(columnsText(columns)).toBe(whole);
        for (const piece of Object.values(columns)) {
          expect(String(piece).length).toBeLessThanOrEqual(32_768);
          expect(String(piece).isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('time keys sort as times do', () => {
    const times = [0, 1, 999, 1_000, Date.UTC(2001, 8, 9), Date.UTC(2026, 10, 22), Date.UTC(2300, 0, 1)];
    expect(times.map(timeKey).sort()).toEqual(times.map(timeKey));
  });
});
