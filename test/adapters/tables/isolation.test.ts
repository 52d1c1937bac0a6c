import { beforeEach, describe, expect, it } from 'vitest';
import { createEventLog } from '../../../src/adapters/tables/event-log.ts';
import { createRegistry, type TableRegistry } from '../../../src/adapters/tables/registry.ts';
import { timeKey } from '../../../src/adapters/tables/rows.ts';
import type { Table } from '../../../src/adapters/tables/table.ts';
import { createAuthority } from '../../../src/broker/authority.ts';
import { stateUnavailable } from '../../../src/broker/store-away.ts';
import { StoreAway, Unreadable } from '../../../src/ports/store.ts';
import { createMemoryTables, type MemoryTables } from '../../support/memory-tables.ts';
import { anEvent, aRegistered, aVault, morning } from '../../support/stored-values.ts';
import { virtualClock, type VirtualClock } from '../../support/virtual-clock.ts';

interface Instance {
  readonly tables: MemoryTables;
  readonly registry: TableRegistry;
  readonly events: ReturnType<typeof createEventLog>;
  /** What it said to the log. */
  readonly told: (readonly [string, object])[];
}

let clock: VirtualClock;
let open: () => Instance;
beforeEach(() => {
  clock = virtualClock(morning);
  const shared = createMemoryTables();
  open = () => {
    const told: Instance['told'] = [];
    const tell = (_level: string, message: string, about: object): void => void told.push([message, about]);
    const tables = shared.open();
    const events = createEventLog(tables, clock, undefined, tell);
    return { told, tables, events, registry: createRegistry(tables, { clock, outbox: events.outbox, tell }) };
  };
});

describe('one server that cannot be read', () => {
  const names = ['sql-a', 'sql-b', 'sql-c'];

  /** Instances of which the second has all three in its copy; then sql-b is written by nobody who knows how, and all three change. */
  async function broken(): Promise<readonly [Instance, Instance]> {
    const [one, other] = [open(), open()];
    for (const name of names) {
      await one.registry.changeServer(name, () => ({ next: aRegistered(name), events: [] }));
      await other.registry.readServer(name);
    }
    await clock.advance(60_000);
    for (const name of names) await one.registry.changeServer(name, () => ({ next: aRegistered(name), events: [] }));
    const table = one.tables.table('servers');
    const guard = await table.get({ partition: 'sql-b', row: 'server' });
    await table.write([{ kind: 'put', row: { ...guard!, columns: { ...guard!.columns, json: '{' } } }]);
    return [one, other];
  }

  it('keeps no other from being refreshed', async () => {
    const [, other] = await broken();
    await other.registry.refresh();
    expect(names.map((name) => other.registry.peekServer(name)?.revision)).toEqual([2, undefined, 2]);
  });

  it('is left out where many are read together, and keeps none from being read alone', async () => {
    const [one] = await broken();
    const read = await one.registry.readTogether(names);
    expect(read.has('sql-b')).toBe(false);
    expect((await one.registry.readServer('sql-c'))?.revision).toBe(2);
  });

  it('is told to the log once, by its name, until it can be read again', async () => {
    const [one, other] = await broken();
    for (let i = 0; i < 5; i += 1) {
      await clock.advance(10_000);
      await expect(other.registry.readServer('sql-b')).rejects.toBeInstanceOf(Unreadable);
    }
    expect(other.told).toEqual([
      ['a server cannot be read', { server: 'sql-b', reason: expect.stringContaining('was not written by a broker') as string }],
    ]);
    const table = one.tables.table('servers');
    const [guard, sound] = [await table.get({ partition: 'sql-b', row: 'server' }), await table.get({ partition: 'sql-a', row: 'server' })];
    await table.write([{ kind: 'put', row: { ...guard!, columns: sound!.columns } }]);
    expect((await other.registry.readServer('sql-b'))?.revision).toBe(2);
    expect(other.registry.peekServer('sql-b')?.revision).toBe(2);
    await table.write([{ kind: 'put', row: guard! }]);
    await expect(other.registry.readServer('sql-b')).rejects.toThrow(Unreadable);
    expect(other.told).toHaveLength(2);
  });

  it('is answered for by StateUnavailable that names it, neither by a defect nor for ever by what the copy held', async () => {
    const [, other] = await broken();
    await other.registry.refresh();
    const { seeServer } = createAuthority({ registry: other.registry, clock });
    const error: unknown = await Promise.resolve(seeServer('sql-b', () => undefined)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreAway);
    expect(stateUnavailable(error as StoreAway).refusal).toMatchObject({
      code: 'StateUnavailable',
      detail: expect.stringMatching(/^server `sql-b` cannot be read: row `server` /) as string,
    });
    await expect(other.registry.changeServer('sql-b', () => null)).rejects.toThrow('server `sql-b` cannot be read');
  });

  it('a store that does not answer for one server keeps no other from being refreshed either, and all is read again', async () => {
    const [one, other] = [open(), open()];
    let away = false;
    const slow = (table: Table): Table => ({
      ...table,
      list: (query, limit) => (away && query.partition === 'sql-a' ? Promise.reject(new StoreAway('slow')) : table.list(query, limit)),
    });
    const registry = createRegistry(
      { ...other.tables, table: (name) => slow(other.tables.table(name)) },
      { clock, outbox: other.events.outbox },
    );
    for (const name of names) {
      await one.registry.changeServer(name, () => ({ next: aRegistered(name), events: [] }));
      await registry.readServer(name);
    }
    await clock.advance(60_000);
    for (const name of names) await one.registry.changeServer(name, () => ({ next: aRegistered(name), events: [] }));
    await one.registry.addVault(aVault());
    away = true;
    await expect(registry.refresh()).rejects.toThrow('slow');
    expect(names.map((name) => registry.peekServer(name)?.revision)).toEqual([1, 2, 2]);
    expect(registry.peekVaults()).toEqual([aVault()]);
    away = false;
    await registry.refresh();
    expect(registry.peekServer('sql-a')?.revision).toBe(2);
  });
});

describe('P2: one place whose events cannot be published', () => {
  const everything = { after: null, limit: 100, since: null, subject: null };

  /** Three changes whose instance was killed before it published their events; those of sql-b are then written by nobody who knows how. */
  async function killed(): Promise<Instance> {
    const witness = open();
    for (const name of ['sql-a', 'sql-b', 'sql-c']) {
      const victim = open();
      victim.tables.beforeWrite = (table) => {
        if (table === 'events') throw new StoreAway('killed');
      };
      await victim.registry.changeServer(name, () => ({ next: aRegistered(name), events: [anEvent(`registered-${name}`)] }));
      await victim.events.outbox.idle();
    }
    await clock.advance(6000);
    return witness;
  }

  async function heard({ events }: Instance): Promise<readonly string[]> {
    return (await events.page(everything)).items.map(({ id }) => id).sort();
  }

  async function announced({ tables }: Instance): Promise<number> {
    return (await tables.table('outbox').list({ partition: 'outbox' })).rows.length;
  }

  it('what cannot be read is told to the log and stays announced; the others are published, and the sweep has done its work', async () => {
    const instance = await killed();
    const table = instance.tables.table('servers');
    const { rows } = await table.list({ partition: 'sql-b', from: 'event:', below: 'event;' });
    await table.write([{ kind: 'put', row: { ...rows[0]!, columns: { json: '{' } } }]);
    expect(await instance.events.sweep()).toBe(morning);
    expect(await heard(instance)).toEqual(['registered-sql-a', 'registered-sql-c']);
    expect(instance.told).toEqual([
      ['an event of a change cannot be read', expect.objectContaining({ table: 'servers', partition: 'sql-b' })],
    ]);
    await clock.advance(301_000);
    await instance.events.sweep();
    expect(instance.told).toHaveLength(1);
    expect(await announced(instance)).toBe(1);
    await table.write([{ kind: 'put', row: rows[0]! }]);
    expect(await instance.events.sweep()).toBeNull();
    expect(await heard(instance)).toEqual(['registered-sql-a', 'registered-sql-b', 'registered-sql-c']);
    expect(await announced(instance)).toBe(0);
  });

  it.each([
    ['a place that only a newer broker knows', { table: 'drills', partition: 'kv-west' }, /`drills`.*update it/],
    ['a newer schema', { table: 'servers', partition: 'sql-a', schema: 9 }, /schema 9.*update it/],
  ])('an announcement of %s is left for a newer broker, told once, and stops no other', async (_what, columns, reason) => {
    const instance = await killed();
    const table = instance.tables.table('outbox');
    const { rows } = await table.list({ partition: 'outbox' });
    const foreign = { ...rows[0]!, row: `${rows[0]!.row}-of-a-newer-broker`, columns };
    await table.write([{ kind: 'put', row: foreign }]);
    for (let sweeps = 0; sweeps < 3; sweeps += 1) {
      await clock.advance(301_000);
      expect(await instance.events.sweep()).toBe(morning);
    }
    expect(await heard(instance)).toEqual(['registered-sql-a', 'registered-sql-b', 'registered-sql-c']);
    const left: string[] = [];
    expect(
      (await table.list({ partition: 'outbox', leaveOut: ({ row }) => left.push(row) })).rows.map(({ row }) => row).concat(left),
    ).toEqual([foreign.row]);
    const about = { partition: 'outbox', row: foreign.row, reason: expect.stringMatching(reason) as string };
    expect(instance.told).toEqual([['an announcement of events cannot be read', about]]);
  });

  it('what was left longer ago than anyone waits for it hides nothing that was left since, and stays', async () => {
    const instance = await killed();
    const table = instance.tables.table('outbox');
    const announce = (at: number): Promise<boolean> =>
      table.write([{ kind: 'put', row: { partition: 'outbox', row: `${timeKey(at)}:x`, columns: { table: 'drills' } } }]);
    await announce(clock.now());
    await clock.advance(4 * 86_400_000);
    expect(await instance.events.sweep()).toBeNull();
    const since = clock.now();
    await announce(since);
    await clock.advance(60_000);
    expect(await instance.events.sweep()).toBe(since);
    expect(await announced(instance)).toBe(2);
  });

  it('of one place all events are published that can be read, in the order of their change', async () => {
    const victim = open();
    const instance = open();
    victim.tables.beforeWrite = (table) => {
      if (table === 'events') throw new StoreAway('killed');
    };
    const events = ['e5', 'e1', 'e4', 'e2', 'e3'].map((id) => anEvent(id));
    await victim.registry.changeServer('sql-a', () => ({ next: aRegistered('sql-a'), events }));
    await victim.events.outbox.idle();
    await clock.advance(6000);
    const table = instance.tables.table('servers');
    const { rows } = await table.list({ partition: 'sql-a', from: 'event:', below: 'event;' });
    expect(rows).toHaveLength(5);
    await table.write([{ kind: 'put', row: { ...rows[1]!, columns: { ...rows[1]!.columns, schema: 9 } } }]);
    expect(await instance.events.sweep()).toBe(morning);
    const idsHeard = async (): Promise<readonly string[]> => (await instance.events.page(everything)).items.map(({ id }) => id);
    expect(await idsHeard()).toEqual(['e5', 'e4', 'e2', 'e3']);
    // As a newer broker would go on, which can read it.
    await table.write([{ kind: 'put', row: rows[1]! }]);
    expect(await instance.events.sweep()).toBeNull();
    expect(await idsHeard()).toEqual(['e5', 'e1', 'e4', 'e2', 'e3']);
  });

  it('where the store does not answer for one the others are published, and the sweep says that it is not done', async () => {
    const instance = await killed();
    instance.tables.beforeWrite = (_table, writes) => {
      if (writes.some(({ row }) => row.partition === 'sql-b')) throw new StoreAway('slow');
    };
    await expect(instance.events.sweep()).rejects.toThrow('slow');
    expect(await heard(instance)).toEqual(['registered-sql-a', 'registered-sql-b', 'registered-sql-c']);
    await clock.advance(301_000);
    await expect(instance.events.sweep()).rejects.toThrow('slow');
    expect(await announced(instance)).toBe(1);
    instance.tables.beforeWrite = undefined;
    await instance.events.sweep();
    expect(await announced(instance)).toBe(0);
  });
});
