import { AzureNamedKeyCredential, TableClient } from '@azure/data-tables';
import { describe, expect, it } from 'vitest';
import { createAssociationLedger } from '../../../src/adapters/tables/association-ledger.ts';
import { createBudgetLedger } from '../../../src/adapters/tables/budget-ledger.ts';
import { createChangeFeed } from '../../../src/adapters/tables/change-feed.ts';
import { createEventLog, isEventCursor } from '../../../src/adapters/tables/event-log.ts';
import { eventKey } from '../../../src/adapters/tables/event-rows.ts';
import { createInstances } from '../../../src/adapters/tables/instances.ts';
import { rowSchema, timeKey } from '../../../src/adapters/tables/rows.ts';
import { openStore } from '../../../src/adapters/tables/store.ts';
import { tableNames, type Row, type TableName, type Write } from '../../../src/adapters/tables/table.ts';
import { instant, millis, type Millis } from '../../../src/domain/time.ts';
import { StoreAway } from '../../../src/ports/store.ts';
import { pointsOf } from '../../contract/association-ledger.ts';
import { allEvents, unreadableOf } from '../../contract/event-log.ts';
import { aReport } from '../../contract/instances.ts';
import { useAzurite, type TablesWay } from '../../support/azurite.ts';
import { budgetRows } from '../../support/store-rigs.ts';
import { anEvent, morning } from '../../support/stored-values.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

const azurite = useAzurite();

async function openThrough(timeoutMs: Millis = millis(10_000)): Promise<{ way: TablesWay; store: ReturnType<typeof openStore> }> {
  const way = await azurite.openWay();
  return { way, store: openStore({ connectionString: way.connectionString }, { tablePrefix: azurite.prefix(), timeoutMs }) };
}

function row(key: string, columns: Row['columns'] = {}): Row {
  return { partition: 'p', row: key, columns };
}

describe('the store on Azurite', () => {
  it('makes all tables, twice without harm, and answers a ping', async () => {
    const store = azurite.store();
    await Promise.all([store.createTables(), store.createTables()]);
    await store.createTables();
    await store.ping();
    for (const name of tableNames) expect(await store.table(name).get({ partition: 'p', row: 'r' })).toBeUndefined();
  });

  it('a table that is not there yet is made by its first use, a write or a transaction too', async () => {
    const store = azurite.store();
    expect(await store.table('servers').write([{ kind: 'insert', row: row('a') }])).toBe(true);
    expect(
      await store.table('access').write([
        { kind: 'insert', row: row('a') },
        { kind: 'put', row: row('b') },
      ]),
    ).toBe(true);
    expect((await store.table('events').list({ partition: 'p' })).rows).toEqual([]);
  });

  it('a transaction is stored whole or not at all', async () => {
    const table = azurite.store().table('servers');
    await table.write([{ kind: 'insert', row: row('there', { n: 1 }) }]);
    const stored = await table.get(row('there'));
    const failing = [
      { kind: 'insert', row: row('there') },
      { kind: 'replace', row: row('absent'), etag: stored!.etag },
      { kind: 'replace', row: row('there'), etag: 'W/"datetime\'2000-01-01T00%3A00%3A00.0000000Z\'"' },
      { kind: 'remove', row: row('absent') },
    ] as const;
    for (const write of failing) {
      expect(await table.write([{ kind: 'put', row: row('beside') }, write])).toBe(false);
      expect(await table.get(row('beside'))).toBeUndefined();
    }
    expect(
      await table.write([
        { kind: 'put', row: row('beside') },
        { kind: 'replace', row: row('there', { n: 2 }), etag: stored!.etag },
      ]),
    ).toBe(true);
    expect((await table.get(row('there')))?.columns).toEqual({ n: 2 });
  });

  it('single writes keep their conditions', async () => {
    const table = azurite.store().table('servers');
    expect(await table.write([{ kind: 'insert', row: row('a', { n: 1 }) }])).toBe(true);
    expect(await table.write([{ kind: 'insert', row: row('a', { n: 2 }) }])).toBe(false);
    const first = await table.get(row('a'));
    expect(await table.write([{ kind: 'replace', row: row('a', { n: 3 }), etag: first!.etag }])).toBe(true);
    expect(await table.write([{ kind: 'replace', row: row('a', { n: 4 }), etag: first!.etag }])).toBe(false);
    expect(await table.write([{ kind: 'remove', row: row('a'), etag: first!.etag }])).toBe(false);
    expect((await table.get(row('a')))?.columns).toEqual({ n: 3 });
    expect(await table.write([{ kind: 'remove', row: row('a') }])).toBe(true);
    expect(await table.write([{ kind: 'remove', row: row('a') }])).toBe(false);
  });

  it("lists by row key, in ranges, beyond the service's page, and over partitions", async () => {
    const table = azurite.store().table('events');
    const keys = Array.from({ length: 1205 }, (_, number) => `r${String(number).padStart(4, '0')}`);
    for (let start = 0; start < keys.length; start += 100)
      await table.write(keys.slice(start, start + 100).map((key) => ({ kind: 'insert', row: row(key) })));
    await table.write([{ kind: 'insert', row: { ...row('other'), partition: 'q' } }]);
    const all = await table.list({ partition: 'p' });
    expect(all.rows.map((found) => found.row)).toEqual(keys);
    expect(all.reads).toBeGreaterThan(1);
    expect((await table.list({ partition: 'p', from: 'r0003', below: 'r0006' })).rows.map((found) => found.row)).toEqual([
      'r0003',
      'r0004',
      'r0005',
    ]);
    expect((await table.list({ partition: 'p', after: 'r0003' }, 2)).rows.map((found) => found.row)).toEqual(['r0004', 'r0005']);
    expect((await table.beyond('p', 10)).rows.map((found) => found.row)).toEqual(['other']);
  });

  it('a refused connection is StoreAway at once, a silent store within the time limit', async () => {
    const { way, store } = await openThrough(millis(300));
    way.way = 'refuse';
    await expect(store.ping()).rejects.toBeInstanceOf(StoreAway);
    way.way = 'hang';
    await expect(store.ping()).rejects.toThrow('within 300 ms');
    await expect(store.table('servers').write([{ kind: 'put', row: row('a') }])).rejects.toBeInstanceOf(StoreAway);
    await expect(store.table('servers').list({ partition: 'p' })).rejects.toBeInstanceOf(StoreAway);
    await expect(store.createTables()).rejects.toBeInstanceOf(StoreAway);
  });

  it('a closed port is StoreAway, and what it says holds no secret', async () => {
    const store = openStore({
      connectionString: `DefaultEndpointsProtocol=http;AccountName=someone;AccountKey=c2VjcmV0LWtleQ==;TableEndpoint=http://127.0.0.1:1/someone;`,
    });
    const error: unknown = await store.ping().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreAway);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('c2VjcmV0LWtleQ');
    expect((error as StoreAway).message).toContain('ECONNREFUSED');
    expect((error as StoreAway).cause).toBeUndefined();
  });

  it('a wrong account key is StoreAway', async () => {
    const { way } = await openThrough();
    const store = openStore({ connectionString: way.connectionString.replace(/AccountKey=[^;]+/, 'AccountKey=d3Jvbmc=') });
    await expect(store.ping()).rejects.toThrow('403');
  });

  it('a conditional write whose connection was reset instead of answered: the row says that it is stored, and it is stored once', async () => {
    const { way, store } = await openThrough();
    const ledger = createBudgetLedger(store, virtualClock(morning));
    await ledger.change('kv-west', () => budgetRows[0]);
    let asked = 0;
    await ledger.read('kv-west');
    const answer = await ledger.change('kv-west', () => {
      asked += 1;
      way.way = 'resetAnswer';
      return budgetRows[1];
    });
    expect(way.way).toBe('pass');
    expect(answer).toEqual({ row: budgetRows[1], stored: true });
    expect(asked).toBe(1);
  });

  it('a transaction whose refusal was lost in a reset is not taken for stored because another left the same guard', async () => {
    const { way, store } = await openThrough();
    const table = store.table('servers');
    await table.write([{ kind: 'insert', row: row('guard', { n: 1 }) }]);
    const { etag } = (await table.get(row('guard')))!;
    const changeWith = (beside: Write): readonly Write[] => [{ kind: 'replace', row: row('guard', { n: 2 }), etag }, beside];
    expect(await table.write(changeWith({ kind: 'put', row: row('theirs') }))).toBe(true);
    for (const beside of [
      { kind: 'put', row: row('ours') },
      { kind: 'remove', row: row('theirs') },
    ] as const) {
      way.way = 'resetAnswer';
      expect(await table.write(changeWith(beside))).toBe(false);
      expect(way.way).toBe('pass');
    }
    expect((await table.list({ partition: 'p' })).rows.map((stored) => stored.row)).toEqual(['guard', 'theirs']);
  });

  it('a read whose connection was reset is tried again', async () => {
    const { way, store } = await openThrough();
    await createInstances(store).report(aReport('one'));
    way.way = 'resetAnswer';
    expect(await createInstances(store).read()).toEqual([aReport('one')]);
    expect(way.way).toBe('pass');
  });

  /** A store, and a way to write rows into it that no broker of today writes. */
  async function beside() {
    const { way } = await openThrough();
    const tablePrefix = azurite.prefix();
    const endpoint = /TableEndpoint=([^;]+);/.exec(way.connectionString)![1]!;
    const key = /AccountKey=([^;]+);/.exec(way.connectionString)![1]!;
    const credential = new AzureNamedKeyCredential('devstoreaccount1', key);
    const clientOf = (table: TableName) =>
      new TableClient(endpoint, `${tablePrefix}${table}`, credential, { allowInsecureConnection: true });
    return { store: openStore({ connectionString: way.connectionString }, { tablePrefix }), clientOf };
  }

  it('a row of a newer schema is refused with a clear error, not misread', async () => {
    const { store, clientOf } = await beside();
    const ledger = createAssociationLedger(store, virtualClock(morning), pointsOf);
    await ledger.reserve(
      { vault: 'kv-west', server: 'sql-a', incarnation: '', id: '1' },
      { GeneralPurpose: 1, BusinessCritical: 0 },
      () => true,
    );
    await clientOf('association').upsertEntity({ partitionKey: 'kv-west', rowKey: 'sum', schema: rowSchema + 1, GeneralPurpose: 0 });
    const read = ledger.read('kv-west');
    await expect(read).rejects.toBeInstanceOf(StoreAway);
    await expect(read).rejects.toThrow(`schema ${String(rowSchema + 1)}`);
  });

  it('P2: an event of a newer schema, or of none, is left out of its page, which names its time, and told once', async () => {
    const { store, clientOf } = await beside();
    const told: unknown[] = [];
    const log = createEventLog(
      store,
      virtualClock(morning),
      undefined,
      (_level, _message, { reason: _reason, ...rows }) => void told.push(rows),
    );
    const events = [0, 1, 2, 3].map((number) => anEvent(`e${number}`, { time: instant(morning + number * 43_200_000) }));
    await log.publish(events);
    const unreadable = [timeKey(morning + 1), timeKey(morning + 2 * 43_200_000 + 1)].map((time) => `${time}:x`);
    const client = clientOf('events');
    await client.createEntity({ partitionKey: '2026-11-22', rowKey: unreadable[0]!, schema: rowSchema + 1, json: '{}' });
    await client.createEntity({ partitionKey: '2026-11-23', rowKey: unreadable[1]!, json: '{}' });
    for (const limit of [1, 2, 3, 10]) {
      expect(await allEvents(log, limit)).toEqual(events);
      expect(await unreadableOf(log, limit)).toEqual([morning + 1, morning + 2 * 43_200_000 + 1]);
    }
    expect(told).toEqual([{ row: unreadable[0], rows: 2, to: unreadable[1] }]);
  });

  it('a list ends after as many rows as were asked for, those that are left out included, and says behind which', async () => {
    const { store, clientOf } = await beside();
    const table = store.table('events');
    await table.write(['a', 'd'].map((key) => ({ kind: 'put', row: row(key) })));
    const client = clientOf('events');
    for (const rowKey of ['b', 'c']) await client.createEntity({ partitionKey: 'p', rowKey, schema: rowSchema + 1 });
    const left: string[] = [];
    const leaveOut = (one: { readonly row: string }): void => void left.push(one.row);
    const ofTwo = await table.list({ partition: 'p', leaveOut }, 2);
    expect(ofTwo).toMatchObject({ rows: [row('a')], looked: 2, last: { partition: 'p', row: 'b' } });
    const others = await table.beyond('', 10, leaveOut);
    expect(others).toMatchObject({ rows: [row('a'), row('d')], looked: 4, last: null });
    expect(left).toEqual(['b', 'b', 'c']);
  });

  it('a marker of the change feed without a schema is known by its version, which changes when it is written again', async () => {
    const { store, clientOf } = await beside();
    const client = clientOf('registry');
    const feed = createChangeFeed(store.table('registry'), {
      clock: virtualClock(morning),
      clockSkewMs: millis(2000),
      tell: () => undefined,
    });
    await store.table('registry').list({ partition: 'changes' });
    const marker = { partitionKey: 'changes', rowKey: `${timeKey(morning)}:x` };
    await client.createEntity({ ...marker, landed: 0 });
    const [before] = await feed.since(instant(morning));
    expect(before).toMatchObject({ subject: { kind: 'anything' }, landed: true });
    expect(await feed.since(instant(morning))).toEqual([before]);
    await client.upsertEntity({ ...marker, landed: 1 });
    const [after] = await feed.since(instant(morning));
    expect(after?.id).not.toBe(before?.id);
  });

  it('where rows may be left out one of a newer schema, or of none, costs no other', async () => {
    const { store, clientOf } = await beside();
    const told: unknown[] = [];
    const instances = createInstances(store, (_level, _message, { row, reason }) => void told.push([row, reason]));
    await instances.report(aReport('one'));
    const client = clientOf('instances');
    await client.createEntity({ partitionKey: 'instances', rowKey: 'a', schema: rowSchema + 1, json: '{}' });
    await client.createEntity({ partitionKey: 'instances', rowKey: 'z', json: '{}' });
    for (let looks = 0; looks < 2; looks += 1) expect(await instances.read()).toEqual([aReport('one')]);
    expect(told).toEqual([
      ['a', expect.stringContaining(`schema ${String(rowSchema + 1)}`)],
      ['z', expect.stringContaining('schema undefined')],
    ]);
  });

  it('cursors of the event log have one form, and a malformed one gives an empty page', async () => {
    const log = createEventLog(azurite.store(), virtualClock(morning));
    await log.publish([anEvent('one'), anEvent('two')]);
    const { next } = await log.page({ after: null, limit: 1, since: null, subject: null });
    expect(isEventCursor(next ?? '')).toBe(true);
    for (const number of [1, 98]) expect(isEventCursor(`2026-11-22~${eventKey(anEvent('one'), number)}`)).toBe(true);
    for (const malformed of ['', 'x', `${next}x`, "2026-11-22~' or 1 eq 1"]) {
      expect(isEventCursor(malformed)).toBe(false);
      expect(await log.page({ after: malformed, limit: 1, since: null, subject: null })).toEqual({ items: [], next: null, unreadable: [] });
    }
  });
});
