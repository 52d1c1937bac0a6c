import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createAccessLog } from '../../../src/adapters/tables/access-log.ts';
import { createEventLog } from '../../../src/adapters/tables/event-log.ts';
import { createRegistry, type TableRegistry } from '../../../src/adapters/tables/registry.ts';
import type { Outbox } from '../../../src/adapters/tables/outbox.ts';
import type { EventLog } from '../../../src/ports/events.ts';
import { StoreAway } from '../../../src/ports/store.ts';
import { millis } from '../../../src/domain/time.ts';
import { createMemoryTables, type MemoryTables } from '../../support/memory-tables.ts';
import { anAccess, anEvent, aRef, aRegistered, aVault, morning } from '../../support/stored-values.ts';
import { virtualClock, type VirtualClock } from '../../support/virtual-clock.ts';

interface Instance {
  readonly tables: MemoryTables;
  readonly registry: TableRegistry;
  readonly events: EventLog & { readonly outbox: Outbox };
}

const everything = { after: null, limit: 100, since: null, subject: null };

/** More writes than any change below needs: the kill points up to here are all of them. */
const killPoints = 16;

describe('kills and conflicts: tables in memory', () => {
  let clock: VirtualClock;
  let open: () => Instance;
  beforeEach(() => {
    clock = virtualClock(morning);
    const shared = createMemoryTables();
    open = () => {
      const tables = shared.open();
      const events = createEventLog(tables, clock);
      return { tables, events, registry: createRegistry(tables, { clock, outbox: events.outbox }) };
    };
  });

  /** Runs the watch's sweep on a sound instance, once soon and once when every announcement has settled. */
  async function sweepAll(instance: Instance): Promise<void> {
    await clock.advance(6000);
    await instance.events.sweep();
    await clock.advance(301_000);
    await instance.events.sweep();
  }

  it.each(Array.from({ length: killPoints }, (_, writes) => writes))(
    'P2: killed after %i writes of a registration: the server and its event are both there after the sweep, or neither',
    async (writes) => {
      const [victim, witness] = [open(), open()];
      victim.tables.dieAfterWrites(writes);
      const next = aRegistered('sql-demo', [['orders', 'GeneralPurpose']]);
      await victim.registry.changeServer('sql-demo', () => ({ next, events: [anEvent('registered')] })).catch(() => undefined);
      await victim.events.outbox.idle();
      await sweepAll(witness);
      const server = await witness.registry.readServer('sql-demo');
      const { items } = await witness.events.page(everything);
      expect(items).toEqual(server === undefined ? [] : [anEvent('registered')]);
      expect(server === undefined || server.databases.size === 1).toBe(true);
      // A server is always in the index; the other way round readers pass over it.
      if (server !== undefined) expect(await witness.registry.serverNames(null, 10)).toEqual(['sql-demo']);
      const { rows } = await witness.tables.table('outbox').list({ partition: 'outbox' });
      expect(rows).toEqual([]);
    },
  );

  it.each(Array.from({ length: killPoints }, (_, writes) => writes))(
    'killed after %i writes of a removal of 300 databases: the server is whole or gone, and its name is free again',
    async (writes) => {
      const [victim, witness] = [open(), open()];
      for (const count of [90, 180, 270, 300]) {
        const databases = Array.from({ length: count }, (_, number) => [`db-${number}`, 'GeneralPurpose'] as const);
        await witness.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo', databases), events: [] }));
      }
      victim.tables.dieAfterWrites(writes);
      await victim.registry.changeServer('sql-demo', () => ({ next: null, events: [anEvent('removed')] })).catch(() => undefined);
      const server = await witness.registry.readServer('sql-demo');
      expect(server === undefined || server.databases.size === 300).toBe(true);
      if (server !== undefined) return;
      await vi.waitFor(async () => expect(await witness.registry.serverNames(null, 1)).toEqual([]));
      await witness.registry.changeServer('sql-demo', (stored) =>
        stored === undefined ? { next: aRegistered('sql-demo', [['new', 'GeneralPurpose']]), events: [] } : null,
      );
      expect((await witness.registry.readServer('sql-demo'))?.databases).toEqual(new Map([['new', 'GeneralPurpose']]));
      await sweepAll(witness);
      expect((await witness.events.page(everything)).items).toEqual([anEvent('removed')]);
      expect((await witness.registry.readServer('sql-demo'))?.databases.size).toBe(1);
    },
  );

  it('a removal that is being finished by many at once, while the name is registered anew, never touches the new server', async () => {
    const instances = [open(), open(), open(), open()];
    const [first] = instances;
    await first!.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo', [['old', 'GeneralPurpose']]), events: [] }));
    first!.tables.dieAfterWrites(2);
    await first!.registry.changeServer('sql-demo', () => ({ next: null, events: [] })).catch(() => undefined);
    await Promise.all(
      instances.slice(1).map(({ registry }, number) =>
        registry.changeServer('sql-demo', (stored) => ({
          next: { ...aRegistered('sql-demo'), databases: new Map(stored?.databases).set(`new-${number}`, 'GeneralPurpose') },
          events: [],
        })),
      ),
    );
    const server = await instances[1]!.registry.readServer('sql-demo');
    expect([...server!.databases.keys()].sort()).toEqual(['new-0', 'new-1', 'new-2']);
    expect(await instances[1]!.registry.serverNames(null, 10)).toEqual(['sql-demo']);
  });

  it('F4: a denial whose answer from the store was lost is not told as stored, and the next try finds it stored', async () => {
    const instance = open();
    const log = createAccessLog(instance.tables, clock, instance.events.outbox);
    instance.tables.loseNextAnswer();
    await expect(log.changeLink(aRef(), () => ({ next: anAccess(), events: [] }))).rejects.toBeInstanceOf(StoreAway);
    expect(await log.changeLink(aRef(), (stored) => (stored ? null : { next: anAccess(), events: [] }))).toEqual(anAccess());
  });

  it('decides anew on what another instance stored between read and write', async () => {
    const [one, other] = [open(), open()];
    const logs = [one, other].map(({ tables, events }) => createAccessLog(tables, clock, events.outbox));
    const seen: (string | undefined)[] = [];
    one.tables.beforeWrite = async () => {
      one.tables.beforeWrite = undefined;
      await logs[1]!.changeLink(aRef(), () => ({
        next: anAccess(aRef(), { refused: { get: { since: anAccess().provenAt!, finding: 'GetDenied' } } }),
        events: [],
      }));
    };
    await logs[0]!.changeLink(aRef(), (stored) => {
      seen.push(stored?.refused.get?.finding);
      return { next: { ...(stored ?? anAccess()), doubtedAt: anAccess().provenAt }, events: [] };
    });
    expect(seen).toEqual([undefined, 'GetDenied']);
    expect((await logs[1]!.read('kv-west')).links[0]).toMatchObject({ refused: { get: { finding: 'GetDenied' } }, doubtedAt: morning });
  });

  it('gives up with StoreAway, not for ever, where others always come first', async () => {
    const [one, other] = [open(), open()];
    const logs = [one, other].map(({ tables, events }) => createAccessLog(tables, clock, events.outbox));
    const disturb = (): Promise<unknown> => logs[1]!.changeLink(aRef(), (stored) => ({ next: stored ?? anAccess(), events: [] }));
    one.tables.beforeWrite = async () => {
      await disturb();
    };
    await expect(logs[0]!.changeLink(aRef(), (stored) => ({ next: stored ?? anAccess(), events: [] }))).rejects.toBeInstanceOf(StoreAway);
  });

  it('a decision that throws harms nobody who waits behind it', async () => {
    const { registry } = open();
    const defect = registry.changeServer('sql-demo', () => {
      throw new TypeError('a defect of the caller');
    });
    const behind = registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await expect(defect).rejects.toBeInstanceOf(TypeError);
    expect((await behind)?.revision).toBe(1);
  });

  it("the copy is refreshed every 2 s: another instance's changes, removals and vaults arrive", async () => {
    const [one, other] = [open(), open()];
    await one.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await other.registry.readServer('sql-demo');
    await one.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo', [['orders', 'GeneralPurpose']]), events: [] }));
    await one.registry.addVault(aVault());
    await clock.advance(2000);
    expect(other.registry.peekServer('sql-demo')?.revision).toBe(2);
    expect(other.registry.peekVaults()).toEqual([aVault()]);
    await one.registry.changeServer('sql-demo', () => ({ next: null, events: [] }));
    await clock.advance(2000);
    expect(other.registry.peekServer('sql-demo')).toBeUndefined();
  });

  it('the copy: a change that lands 25 s after its marker, by an instance 2 s behind, is still seen', async () => {
    const [one, other] = [open(), open()];
    const slow = createRegistry(one.tables, { clock: clock.skewed(-2000), outbox: one.events.outbox });
    await slow.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await clock.advance(60_000);
    await other.registry.readServer('sql-demo');
    one.tables.beforeWrite = async (name) => {
      if (name !== 'servers') return;
      one.tables.beforeWrite = undefined;
      await clock.advance(25_000);
      expect(other.registry.peekServer('sql-demo')?.revision).toBe(1);
    };
    await slow.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await clock.advance(2000);
    expect(other.registry.peekServer('sql-demo')?.revision).toBe(2);
  });

  it('the copy: clocks that may differ by 10 s, and do, hide no change that lands 25 s after its marker', async () => {
    const [one, other] = [open(), open()];
    const clockSkewMs = millis(10_000);
    const follower = createRegistry(other.tables, { clock, outbox: other.events.outbox, clockSkewMs });
    const slow = createRegistry(one.tables, { clock: clock.skewed(-10_000), outbox: one.events.outbox, clockSkewMs });
    await slow.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await clock.advance(60_000);
    await follower.readServer('sql-demo');
    one.tables.beforeWrite = async (name) => {
      if (name !== 'servers') return;
      one.tables.beforeWrite = undefined;
      await clock.advance(25_000);
    };
    await slow.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await clock.advance(2000);
    expect(follower.peekServer('sql-demo')?.revision).toBe(2);
    for (const registry of [follower, slow]) registry.close();
  });

  it.each([10 * 60_000, 3 * 3_600_000])(
    'store away for %i ms: the copy serves on, and is right again with the first poll that succeeds',
    async (away) => {
      const [one, other] = [open(), open()];
      await one.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
      await other.registry.readServer('sql-demo');
      other.tables.away = true;
      await clock.advance(4000);
      await one.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo', [['orders', 'GeneralPurpose']]), events: [] }));
      await clock.advance(away);
      expect(other.registry.peekServer('sql-demo')?.revision).toBe(1);
      other.tables.away = false;
      await clock.advance(2000);
      expect(other.registry.peekServer('sql-demo')?.revision).toBe(2);
    },
  );

  it('the copy: a first read whose answer is late does not bring in what a refresh has meanwhile outdated', async () => {
    const [one, other] = [open(), open()];
    await one.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await clock.advance(60_000);
    other.tables.afterRead = async () => {
      other.tables.afterRead = undefined;
      await one.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
      await other.registry.refresh();
    };
    expect((await other.registry.readServer('sql-demo'))?.revision).toBe(1);
    expect(other.registry.peekServer('sql-demo')?.revision).toBe(2);
  });

  it('a refresh costs what changed, not what is registered; a landed change is read once', async () => {
    const [one, other] = [open(), open()];
    for (let number = 0; number < 40; number += 1) {
      await one.registry.changeServer(`sql-${number}`, () => ({ next: aRegistered(`sql-${number}`), events: [] }));
      await other.registry.readServer(`sql-${number}`);
    }
    await clock.advance(60_000);
    const quiet = other.tables.counts.reads;
    await other.registry.refresh();
    expect(other.tables.counts.reads - quiet).toBe(1);
    await one.registry.changeServer('sql-7', () => ({ next: aRegistered('sql-7'), events: [] }));
    const busy = other.tables.counts.reads;
    await other.registry.refresh();
    await other.registry.refresh();
    await other.registry.refresh();
    expect(other.tables.counts.reads - busy).toBe(4);
  });

  it('markers that nobody needs any more are removed', async () => {
    const { registry, tables } = open();
    await registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events: [] }));
    await clock.advance(2 * 3_600_000);
    expect((await tables.table('registry').list({ partition: 'changes' })).rows).toEqual([]);
  });

  it('a closed registry polls no more', async () => {
    const { registry, tables } = open();
    registry.close();
    await clock.advance(60_000);
    expect(tables.counts.reads).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
