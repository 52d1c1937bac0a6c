import { beforeEach, describe, expect, it } from 'vitest';
import { createAssociationLedger } from '../../../src/adapters/tables/association-ledger.ts';
import { createEventLog } from '../../../src/adapters/tables/event-log.ts';
import { createRegistry, type TableRegistry } from '../../../src/adapters/tables/registry.ts';
import { timeKey } from '../../../src/adapters/tables/rows.ts';
import type { RowKey, TableName } from '../../../src/adapters/tables/table.ts';
import type { ServerState } from '../../../src/domain/server.ts';
import { Unreadable } from '../../../src/ports/store.ts';
import { pointsOf } from '../../contract/association-ledger.ts';
import { createMemoryTables, type MemoryTables } from '../../support/memory-tables.ts';
import { anEvent, aRegistered, aVault, morning } from '../../support/stored-values.ts';
import { virtualClock, type VirtualClock } from '../../support/virtual-clock.ts';

interface Instance {
  readonly tables: MemoryTables;
  readonly registry: TableRegistry;
  readonly told: (readonly [message: string, row: unknown])[];
}

/** A rollout that raises the schema: `newer` writes rows that `older` cannot read. */
let clock: VirtualClock;
let newer: Instance;
let older: Instance;
beforeEach(() => {
  clock = virtualClock(morning);
  const shared = createMemoryTables();
  const open = (): Instance => {
    const tables = shared.open();
    const told: Instance['told'] = [];
    const tell = (_level: string, message: string, { row }: Readonly<Record<string, unknown>>): void => void told.push([message, row]);
    const { outbox } = createEventLog(tables, clock);
    // Refreshed by the test alone.
    const registry = createRegistry(tables, { clock, outbox, tell });
    registry.close();
    return { tables, registry, told };
  };
  [newer, older] = [open(), open()];
});

/** Gives a row a schema that nobody here knows. @returns what takes it away again. */
async function raise(name: TableName, key: RowKey, schema: number | string = 9): Promise<() => Promise<void>> {
  const table = newer.tables.table(name);
  const stored = await table.get(key);
  await table.write([{ kind: 'put', row: { ...key, columns: { ...stored?.columns, schema } } }]);
  return async () => {
    await table.write([{ kind: 'put', row: { ...key, columns: stored!.columns } }]);
  };
}

/** Keys of a partition of table `registry`, those that cannot be read first. */
async function keysOf(partition: string): Promise<readonly RowKey[]> {
  const left: RowKey[] = [];
  const leaveOut = ({ row }: { readonly row: string }): void => void left.push({ partition, row });
  const { rows } = await newer.tables.table('registry').list({ partition, leaveOut });
  return [...left, ...rows];
}

async function readsOf(work: () => Promise<unknown>): Promise<number> {
  const before = older.tables.counts.reads;
  await work();
  return older.tables.counts.reads - before;
}

function put(registry: TableRegistry, name: string, state: ServerState = 'online'): Promise<unknown> {
  return registry.changeServer(name, () => {
    const next = aRegistered(name);
    return { next: { ...next, server: { ...next.server, state } }, events: [] };
  });
}

const changed = 'what was changed by another instance cannot be read: all is read again';

describe('a marker of the change feed that cannot be read', () => {
  const names = ['sql-a', 'sql-b', 'sql-c'];
  /** Of the markers and the vaults, and of each server in the copy. */
  const everything = 2 + names.length;

  /** All three servers are in the copy of `older`, and all that was announced of them is past. */
  beforeEach(async () => {
    for (const name of names) {
      await put(newer.registry, name);
      await older.registry.readServer(name);
    }
    await older.registry.refresh();
    await clock.advance(60_000);
    await older.registry.refresh();
  });

  async function newestMarker(): Promise<RowKey> {
    return (await keysOf('changes')).at(-1)!;
  }

  it.each([
    ['a newer schema', 9],
    ['no schema', 'none'],
  ])('%s: all that is in the copy is read again, once, and once more when no change can follow', async (_what, schema) => {
    await newer.registry.addVault(aVault());
    await raise('registry', await newestMarker(), schema);
    await put(newer.registry, 'sql-b');
    await raise('registry', await newestMarker(), schema);
    expect(await readsOf(() => older.registry.refresh())).toBe(everything);
    expect(names.map((name) => older.registry.peekServer(name)?.revision)).toEqual([1, 2, 1]);
    expect(older.registry.peekVaults()).toEqual([aVault()]);
    for (let polls = 0; polls < 10; polls += 1) {
      await clock.advance(2000);
      expect(await readsOf(() => older.registry.refresh())).toBe(1);
    }
    await clock.advance(13_000);
    expect(await readsOf(() => older.registry.refresh())).toBe(everything);
    for (let polls = 0; polls < 10; polls += 1) {
      await clock.advance(2000);
      expect(await readsOf(() => older.registry.refresh())).toBe(1);
    }
    expect(older.told.map(([message]) => message)).toEqual([changed, changed]);
  });

  it('keeps no other marker from being followed', async () => {
    await raise('registry', { partition: 'changes', row: `${timeKey(clock.now())}:0` });
    await older.registry.refresh();
    await put(newer.registry, 'sql-c');
    expect(await readsOf(() => older.registry.refresh())).toBe(2);
    expect(older.registry.peekServer('sql-c')?.revision).toBe(2);
  });

  it('its change is seen at the next poll where it lands after the first, and the marker is written again', async () => {
    let markers = 0;
    newer.tables.beforeWrite = async (name, [write]) => {
      if (name === 'servers') await older.registry.refresh();
      if (name === 'registry' && write?.kind === 'put' && write.row.partition === 'changes') {
        markers += 1;
        Object.assign(write.row.columns, { schema: 9 });
      }
    };
    await put(newer.registry, 'sql-a');
    await expect.poll(() => markers).toBe(2);
    expect(older.registry.peekServer('sql-a')?.revision).toBe(1);
    await older.registry.refresh();
    expect(older.registry.peekServer('sql-a')?.revision).toBe(2);
    expect(older.told).toHaveLength(1);
  });

  it('its change is seen where it lands at the last moment, and nobody says so', async () => {
    await raise('registry', { partition: 'changes', row: `${timeKey(clock.now())}:0` });
    await older.registry.refresh();
    await clock.advance(29_000);
    await older.registry.refresh();
    newer.tables.beforeWrite = (name, [write]) => {
      // No marker of this program's own.
      if (name === 'registry' && write?.row.partition === 'changes') Object.assign(write.row, { partition: 'elsewhere' });
    };
    await put(newer.registry, 'sql-a');
    await older.registry.refresh();
    expect(older.registry.peekServer('sql-a')?.revision).toBe(1);
    await clock.advance(4000);
    await older.registry.refresh();
    expect(older.registry.peekServer('sql-a')?.revision).toBe(2);
  });

  it('a first read under way brings in nothing that it has outdated', async () => {
    await put(newer.registry, 'sql-new');
    await clock.advance(60_000);
    await older.registry.refresh();
    older.tables.afterRead = async () => {
      older.tables.afterRead = undefined;
      await put(newer.registry, 'sql-new');
      for (const marker of await keysOf('changes')) await raise('registry', marker);
      await older.registry.refresh();
    };
    await older.registry.readServer('sql-new');
    expect(older.registry.peekServer('sql-new')?.revision).toBe(2);
  });

  it('is removed when nobody looks at it any more', async () => {
    for (const marker of await keysOf('changes')) await raise('registry', marker);
    await clock.advance(2 * 3_600_000);
    await older.registry.refresh();
    expect(await keysOf('changes')).toEqual([]);
  });
});

describe('a vault that cannot be read', () => {
  const row = 'name:kv-north';

  beforeEach(async () => {
    for (const name of ['kv-north', 'kv-west']) await newer.registry.addVault(aVault(name));
    await raise('registry', { partition: 'vaults', row });
  });

  it('is left out of the copy and of lists, told once, and stops neither a refresh nor the registration of others', async () => {
    await put(newer.registry, 'sql-a');
    await older.registry.readServer('sql-a');
    await put(newer.registry, 'sql-a');
    for (let polls = 0; polls < 3; polls += 1) {
      await clock.advance(2000);
      await older.registry.refresh();
    }
    expect(older.registry.peekServer('sql-a')?.revision).toBe(2);
    expect(older.registry.peekVaults()).toEqual([aVault('kv-west')]);
    expect(await older.registry.readVaults()).toEqual([aVault('kv-west')]);
    expect(await older.registry.addVault(aVault('kv-south'))).toEqual(aVault('kv-south'));
    expect(older.registry.peekVault('kv-south')).toEqual(aVault('kv-south'));
    expect(older.told).toEqual([['a vault cannot be read', row]]);
  });

  it('stays where it was read before, in the copy and in lists, as it was then, and is told once', async () => {
    const both = [aVault('kv-north'), aVault('kv-west')];
    const names = (vaults: readonly { readonly name: string }[]): readonly string[] => vaults.map(({ name }) => name).sort();
    expect(names(newer.registry.peekVaults())).toEqual(names(both));
    for (let looks = 0; looks < 3; looks += 1) expect(names(await newer.registry.readVaults())).toEqual(names(both));
    await newer.registry.addVault(aVault('kv-south'));
    expect(names(newer.registry.peekVaults())).toEqual(['kv-north', 'kv-south', 'kv-west']);
    expect(newer.registry.peekVault('kv-north')).toEqual(aVault('kv-north'));
    expect(newer.told).toEqual([['a vault cannot be read', row]]);
  });

  it('K1: is not taken for absent where something is decided: it is named, and its place is not free', async () => {
    const { uri } = aVault('kv-north');
    await expect(older.registry.findVault({ name: 'kv-north' })).rejects.toThrow(/^vault `kv-north` cannot be read: .*schema 9/);
    await expect(older.registry.findVault({ uri })).rejects.toBeInstanceOf(Unreadable);
    await expect(older.registry.addVault(aVault('kv-north', 'https://elsewhere.vault.azure.net'))).rejects.toThrow('`kv-north`');
    await expect(older.registry.addVault(aVault('kv-other', uri))).rejects.toThrow(uri);
    expect(await older.registry.findVault({ name: 'kv-west' })).toEqual(aVault('kv-west'));
    expect(await older.registry.findVault({ name: 'kv-none' })).toBeUndefined();
  });
});

describe('the lists of servers', () => {
  const names = ['sql-a', 'sql-b', 'sql-c', 'sql-d'];
  beforeEach(async () => {
    for (const name of names) await put(newer.registry, name, 'atRisk');
  });

  it('a name that cannot be read is still a name: its key says it, and pages end where they should', async () => {
    for (const row of ['sql-b', 'sql-d']) await raise('registry', { partition: 'names', row });
    expect(await older.registry.serverNames(null, 10)).toEqual(names);
    expect(await older.registry.serverNames(null, 2)).toEqual(['sql-a', 'sql-b']);
    expect(await older.registry.serverNames('sql-b', 2)).toEqual(['sql-c', 'sql-d']);
    expect(await older.registry.serverNames('sql-d', 2)).toEqual([]);
    expect(older.told.map(([, row]) => row)).toEqual(['sql-b', 'sql-d']);
  });

  it.each([
    ['a newer schema', { schema: 9 }],
    ['text that no broker wrote', { json: '{' }],
  ])('a standing that cannot be read, %s: told once, and the server itself says where it stands', async (_what, columns) => {
    for (const row of ['sql-a', 'sql-c'])
      await newer.tables.table('registry').write([{ kind: 'put', row: { partition: 'standings', row, columns } }]);
    for (let looks = 0; looks < 3; looks += 1) {
      expect(await older.registry.serversNotOnline(null, 10)).toMatchObject(names.map((name) => ({ name, state: 'atRisk' })));
      for (const [after, page] of [
        [null, ['sql-a', 'sql-b']],
        ['sql-b', ['sql-c', 'sql-d']],
        ['sql-d', []],
      ] as const)
        expect((await older.registry.serversNotOnline(after, 2)).map(({ name }) => name)).toEqual(page);
    }
    expect(older.told.map(([, row]) => row)).toEqual(['sql-a', 'sql-c']);
  });

  it('one whose server cannot be read either, is online or is gone, is left out, and no page is shorter for it', async () => {
    for (const row of ['sql-a', 'sql-b', 'sql-none']) await raise('registry', { partition: 'standings', row });
    await raise('servers', { partition: 'sql-a', row: 'server' });
    await put(older.registry, 'sql-b');
    const page = await older.registry.serversNotOnline(null, 2);
    expect(page.map(({ name }) => name)).toEqual(['sql-c', 'sql-d']);
  });

  it('A3: a standing that cannot be read keeps no server from coming online', async () => {
    await raise('registry', { partition: 'standings', row: 'sql-b' });
    await put(older.registry, 'sql-b');
    expect((await older.registry.readServer('sql-b'))?.server.state).toBe('online');
  });
});

it('B1: a sum that cannot be read reserves nothing and names the vault; it is told once, and another vault has its room', async () => {
  const told: unknown[] = [];
  const tell = (_level: string, message: string, { vault }: Readonly<Record<string, unknown>>): void => void told.push([message, vault]);
  const ledger = createAssociationLedger(older.tables, clock, pointsOf, tell);
  const claim = (vault: string, id: string) => ({ vault, server: 'sql-a', incarnation: 'first', id });
  const one = { GeneralPurpose: 1, BusinessCritical: 0 };
  for (const vault of ['kv-north', 'kv-west']) await ledger.reserve(claim(vault, '1'), one, () => true);
  const mend = await raise('association', { partition: 'kv-north', row: 'sum' });
  await expect(ledger.reserve(claim('kv-north', '2'), one, () => true)).rejects.toThrow(/vault `kv-north` cannot be read: .*schema 9/);
  for (let looks = 0; looks < 3; looks += 1) await expect(ledger.read('kv-north')).rejects.toBeInstanceOf(Unreadable);
  expect(told).toEqual([['what counts at a vault cannot be read: nothing more fits there', 'kv-north']]);
  expect((await ledger.reserve(claim('kv-west', '2'), { ...one, GeneralPurpose: 2 }, () => true)).fitted).toBe(true);
  await mend();
  expect((await ledger.read('kv-north')).counts).toEqual(one);
});

describe('P2: an event of the log that cannot be read', () => {
  it.each([
    ['a newer schema', { schema: 9 }],
    ['text that no broker wrote', { json: '{' }],
  ])('%s: every page that it belongs to names its time, whoever reads, until it can be read; told once', async (_what, columns) => {
    const told: unknown[] = [];
    const open = () => createEventLog(older.tables, clock, undefined, (_level, message) => void told.push(message));
    const log = open();
    await log.publish([anEvent('one'), anEvent('two')]);
    const table = older.tables.table('events');
    const [row] = (await table.list({ partition: '2026-11-22' })).rows;
    await table.write([{ kind: 'put', row: { ...row!, columns } }]);
    const read = async (from = log): Promise<readonly unknown[]> => {
      const page = await from.page({ after: null, limit: 10, since: null, subject: null });
      return [page.items.length, page.unreadable];
    };
    expect(await read()).toEqual([1, [morning]]);
    expect(await read()).toEqual([1, [morning]]);
    expect(told).toEqual(['an event of the log cannot be read']);
    // As after a restart.
    expect(await read(open())).toEqual([1, [morning]]);
    await table.write([{ kind: 'put', row: row! }]);
    expect(await read()).toEqual([2, []]);
  });
});
