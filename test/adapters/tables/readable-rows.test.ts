import { beforeEach, describe, expect, it } from 'vitest';
import { createAccessLog } from '../../../src/adapters/tables/access-log.ts';
import { createAssociationLedger } from '../../../src/adapters/tables/association-ledger.ts';
import { createEventLog } from '../../../src/adapters/tables/event-log.ts';
import { createInstances } from '../../../src/adapters/tables/instances.ts';
import { createReadReadable, createTold } from '../../../src/adapters/tables/readable-rows.ts';
import { jsonColumns, jsonValue } from '../../../src/adapters/tables/rows.ts';
import type { Row, RowKey, Table, TableName } from '../../../src/adapters/tables/table.ts';
import { soundVault } from '../../../src/domain/access.ts';
import { instant } from '../../../src/domain/time.ts';
import type { Claim } from '../../../src/ports/association.ts';
import { Unreadable } from '../../../src/ports/store.ts';
import { pointsOf } from '../../contract/association-ledger.ts';
import { aReport } from '../../contract/instances.ts';
import { createMemoryTables, type MemoryTables } from '../../support/memory-tables.ts';
import { anAccess, anEvent, aRef, morning } from '../../support/stored-values.ts';
import { virtualClock, type VirtualClock } from '../../support/virtual-clock.ts';

let clock: VirtualClock;
let tables: MemoryTables;
let told: (readonly [level: string, message: string, row: unknown])[];
beforeEach(() => {
  clock = virtualClock(morning);
  tables = createMemoryTables().open();
  told = [];
});

function tell(level: string, message: string, { row }: Readonly<Record<string, unknown>>): void {
  told.push([level, message, row]);
}

/** Writes something into a row that no broker wrote. @returns what puts the row back. */
async function spoil(name: TableName, key: RowKey): Promise<() => Promise<void>> {
  const table: Table = tables.table(name);
  const stored = await table.get(key);
  const put = async (columns: Record<string, string | number>): Promise<void> => {
    await table.write([{ kind: 'put', row: { ...key, columns } }]);
  };
  await put({ ...stored!.columns, json: '{"instance":' });
  return () => put({ ...stored!.columns });
}

async function keysOf(name: TableName, partition: string): Promise<readonly RowKey[]> {
  return (await tables.table(name).list({ partition })).rows;
}

describe('the report of an instance that cannot be read', () => {
  it('is left out, and told to the log once until it can be read again', async () => {
    const instances = createInstances(tables, tell);
    for (const name of ['one', 'two', 'three']) await instances.report(aReport(name));
    const key = (await keysOf('instances', 'instances'))[1]!;
    const mend = await spoil('instances', key);
    for (let looks = 0; looks < 3; looks += 1) expect(await instances.read()).toHaveLength(2);
    const once = ['error', 'the report of an instance cannot be read', key.row];
    expect(told).toEqual([once]);
    await mend();
    expect(await instances.read()).toHaveLength(3);
    await spoil('instances', key);
    await instances.read();
    expect(told).toEqual([once, once]);
  });
});

describe('what the log was told of', () => {
  it('is remembered until it is forgotten, and the first of ten thousand gives way to the next', () => {
    const told = createTold();
    expect([told.isNew('a'), told.isNew('a')]).toEqual([true, false]);
    told.forget('a');
    expect(told.isNew('a')).toBe(true);
    for (let n = 1; n < 10_000; n += 1) told.isNew(String(n));
    expect(told.isNew('a')).toBe(false);
    expect(told.isNew('one more')).toBe(true);
    expect(told.isNew('2')).toBe(false);
    expect(told.isNew('a')).toBe(true);
  });

  it('of a list of many partitions: the first gives way, and those where all can be read take no room', async () => {
    const row = { row: 'r', columns: { json: '{' } };
    const read = createReadReadable(tables.table('access'), 'a row', tell);
    const see = async (partition: string, columns: Row['columns'] = row.columns) => {
      await tables.table('access').write([{ kind: 'put', row: { ...row, partition, columns } }]);
      await read({ partition }, (one) => jsonValue(one));
      await tables.table('access').write([{ kind: 'remove', row: { ...row, partition } }]);
    };
    await see('first');
    for (let n = 0; n < 10_000; n += 1) await see(`sound-${n}`, jsonColumns({}));
    await see('first');
    expect(told).toHaveLength(1);
    for (let n = 0; n < 10_000; n += 1) await see(`bad-${n}`);
    await see('first');
    expect(told).toHaveLength(10_002);
  });
});

describe('B1: an account that cannot be read', () => {
  const claim = (server: string): Claim => ({ vault: 'kv-west', server, incarnation: 'first', id: server });

  it('goes on counting, and keeps no other from being looked at', async () => {
    const ledger = createAssociationLedger(tables, clock, pointsOf, tell);
    for (const server of ['sql-a', 'sql-b', 'sql-c'])
      await ledger.reserve(claim(server), { GeneralPurpose: 1, BusinessCritical: 0 }, () => true);
    await clock.advance(61_000);
    const row = 'server:sql-b:first';
    await spoil('association', { partition: 'kv-west', row });
    for (let looks = 0; looks < 3; looks += 1) expect(await ledger.stale('kv-west')).toEqual([claim('sql-a'), claim('sql-c')]);
    expect(told).toEqual([['error', 'what a server has of the budget of a vault cannot be read', row]]);
    for (const one of await ledger.stale('kv-west')) await ledger.abandon(one);
    expect((await ledger.read('kv-west')).counts).toEqual({ GeneralPurpose: 1, BusinessCritical: 0 });
  });
});

describe('F3: what is known of access at a vault and cannot be read', () => {
  const refs = [aRef(), aRef({ server: 'sql-two' }), aRef({ server: 'sql-three' })];
  const health = { ...soundVault, outageSince: instant(morning) };

  async function filled(): Promise<{ readonly log: ReturnType<typeof createAccessLog>; readonly rows: readonly RowKey[] }> {
    const log = createAccessLog(tables, clock, createEventLog(tables, clock).outbox, tell);
    for (const ref of refs) await log.changeLink(ref, () => ({ next: anAccess(ref), events: [] }));
    await log.changeVault('kv-west', () => ({ next: health, events: [] }));
    return { log, rows: await keysOf('access', 'kv-west') };
  }

  it('a link: no picture for the gate, and a survey of all else that counts it; told once', async () => {
    const { log, rows } = await filled();
    await spoil('access', rows[0]!);
    for (let looks = 0; looks < 3; looks += 1) {
      await expect(log.read('kv-west')).rejects.toThrow(Unreadable);
      const survey = await log.survey('kv-west');
      expect(survey).toMatchObject({ health, unreadable: 1 });
      expect(survey.links).toHaveLength(2);
    }
    expect(told).toEqual([['error', 'what is known of access at a vault cannot be read', rows[0]!.row]]);
  });

  it('the vault itself: the survey does not take it for sound', async () => {
    const { log } = await filled();
    await spoil('access', { partition: 'kv-west', row: 'vault' });
    await expect(log.read('kv-west')).rejects.toThrow(Unreadable);
    const survey = await log.survey('kv-west');
    expect(survey).toMatchObject({ health: undefined, unreadable: 1 });
    expect(survey.links).toHaveLength(3);
  });

  it('where all can be read a survey says the same as the picture', async () => {
    const { log } = await filled();
    const { links } = await log.read('kv-west');
    expect(await log.survey('kv-west')).toEqual({ links, health, unreadable: 0 });
    expect(await log.survey('kv-north')).toEqual({ links: [], health: soundVault, unreadable: 0 });
    expect(told).toEqual([]);
  });

  it('an event that waits for the log is no part of it, and hides no picture when it cannot be read', async () => {
    const { log } = await filled();
    tables.beforeWrite = (name) => {
      if (name === 'events') throw new Unreadable('the log');
    };
    await log.changeVault('kv-west', () => ({ next: health, events: [anEvent('opened')] }));
    const [event] = await keysOf('access', 'kv-west');
    expect(event!.row).toMatch(/^event:/);
    await spoil('access', event!);
    expect((await log.read('kv-west')).links).toHaveLength(3);
    expect((await log.survey('kv-west')).unreadable).toBe(0);
  });
});
