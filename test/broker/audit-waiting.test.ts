import { beforeEach, describe, expect, it } from 'vitest';
import { createAuditStore } from '../../src/adapters/tables/audit-store.ts';
import { createEventLog } from '../../src/adapters/tables/event-log.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet, linkTo } from '../support/audit-fleet.ts';
import { anAudit } from '../contract/audit-store.ts';
import { aCaller, aContext } from '../support/builders.ts';
import { createMemoryTables } from '../support/memory-tables.ts';

const slot = '2026-11-22T06:00:00Z';
const context = aContext(aCaller(['KeyBroker.Operator']));

let fleet: AuditFleet;
let one: AuditInstance;
beforeEach(async () => {
  fleet = await auditFleet();
  one = fleet.start('one');
});

async function read(of: string) {
  const answer = await one.roads.getAudit({ slot: of, after: null, limit: 100, changes: ['new'] }, context);
  if (!answer.ok) throw new Error(answer.refusal.detail);
  return answer.value;
}

async function begin(): Promise<string> {
  const begun = await one.roads.startAudit(context);
  if (!begun.ok) throw new Error(begun.refusal.detail);
  return begun.value.slot;
}

describe('P1: an audit that waits for a vault without room', () => {
  beforeEach(async () => {
    await fleet.addServer('sql-west', { links: [linkTo('west', 'k1')] });
    await fleet.addServer('sql-south', { links: [linkTo('south', 'k1')] });
    one.budget.busy.add('west');
  });

  it('keeps a later one from nothing that has room', async () => {
    await fleet.audit(one, 60_000);
    expect((await read(slot)).counts.servers).toBe(1);
    const byHand = await begin();
    await fleet.clock.advance(120_000);
    expect((await read(byHand)).counts.servers).toBe(1);
    expect((await read(slot)).finishedAt).toBeNull();
    one.budget.busy.clear();
    await fleet.clock.advance(120_000);
    for (const ended of [slot, byHand])
      expect(await read(ended)).toMatchObject({ counts: { servers: 2 }, finishedAt: expect.any(Number) as number });
  });

  it('says so at the end of each run, with the vaults that it waits for', async () => {
    await fleet.audit(one, 600_000);
    expect(one.lines).toEqual([
      {
        level: 'warn',
        message: 'the permission audit leaves its rest to the next run',
        about: { audits: [slot], vaultsWithoutRoom: ['west'] },
      },
    ]);
  });
});

describe('P1: an audit of which something cannot be read', () => {
  it('costs no other its turn, and is told to the log once, with the reason', async () => {
    await fleet.addServer('sql-a');
    one.budget.used = 1000;
    await fleet.audit(one, 1000);
    const byHand = await begin();
    fleet.store.before = (_access, key) => {
      if (key.includes(slot)) throw new Unreadable('row `progress` has schema 9');
    };
    one.budget.used = 0;
    await fleet.clock.advance(600_000);
    await fleet.audit(one);
    await fleet.audit(one);
    fleet.store.before = undefined;
    expect((await read(byHand)).counts.servers).toBe(1);
    expect((await read(byHand)).finishedAt).not.toBeNull();
    const reason = 'row `progress` has schema 9';
    expect(one.lines.filter(({ message }) => message.includes('cannot'))).toMatchObject([
      { level: 'error', message: 'a permission audit cannot go on', about: { audit: slot, reason } },
      { level: 'error', message: 'the beginning of the permission audit cannot read what is stored', about: { reason } },
      { level: 'error', message: 'the beginning of the permission audit cannot read what is stored', about: { reason } },
    ]);
  });

  it('begun by an instance that was killed over it, it is begun by the next run', async () => {
    await fleet.addServer('sql-a');
    const tables = createMemoryTables();
    const open = () => {
      const own = tables.open();
      return { own, audits: createAuditStore(own, createEventLog(own, fleet.clock).outbox) };
    };
    const killed = open();
    killed.own.dieAfterWrites(1);
    await expect(killed.audits.begin(anAudit({ slot: '2026-11-22T06:00:00Z', startedAt: fleet.clock.now() }))).rejects.toThrow('killed');
    const { own, audits } = open();
    one = fleet.start('two', { audits });
    await one.roads.watch();
    await fleet.clock.advance(20_000);
    expect(await read(slot)).toMatchObject({ counts: { servers: 1 }, finishedAt: expect.any(Number) as number });
    expect(own.counts.reads).toBeLessThan(100);
  });

  it('where a page of it cannot be read, it does not end as if all had been seen', async () => {
    await fleet.addServer('sql-a');
    const own = createMemoryTables().open();
    one = fleet.start('two', { audits: createAuditStore(own, createEventLog(own, fleet.clock).outbox) });
    one.budget.used = 1000;
    await fleet.audit(one, 600_000);
    const table = own.table('audits');
    const { rows } = await table.list({ partition: slot, from: 'page:', below: 'page;' });
    await table.write([{ kind: 'put', row: { ...rows.at(-1)!, columns: { json: '{' } } }]);
    one.budget.used = 0;
    await one.roads.watch();
    await fleet.clock.advance(60_000);
    expect((await read(slot)).finishedAt).toBeNull();
    const told = one.lines.filter(({ message }) => message === 'a permission audit cannot go on');
    expect(told).toMatchObject([{ about: { audit: slot, reason: '1 of its 2 parts cannot be read' } }]);
  });

  it('what the store cannot give for a moment is a warning', async () => {
    fleet.store.before = () => {
      throw new StoreAway('for a moment');
    };
    await fleet.audit(one);
    fleet.store.before = undefined;
    expect(one.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
      'warn the beginning of the permission audit waits for the store',
      'warn the permission audit waits for the store',
    ]);
  });
});
