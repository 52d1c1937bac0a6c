import { beforeEach, describe, expect, it } from 'vitest';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet, linkTo, standbyOf } from '../support/audit-fleet.ts';
import { aCaller, aContext, hour } from '../support/builders.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { keyIdOf } from '../model/world/vaults.ts';

const slot = '2026-11-22T06:00:00Z';
const nextSlot = '2026-11-22T12:00:00Z';
const context = aContext(aCaller(['KeyBroker.Operator']));
const page = { after: null, limit: 100, changes: ['new', 'continued'] } as const;

let fleet: AuditFleet;
let one: AuditInstance;
beforeEach(async () => {
  fleet = await auditFleet();
  one = fleet.start('one');
});

async function addServers(count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_unused, i) => `sql-${String(i).padStart(3, '0')}`);
  for (const name of names) await fleet.addServer(name);
  return names;
}

async function read(instance: AuditInstance, of = slot) {
  const answer = await instance.roads.getAudit({ slot: of, ...page }, context);
  if (!answer.ok) throw new Error(answer.refusal.detail);
  return answer.value;
}

function calls(vault: string): readonly string[] {
  return fleet.vaults.calls.filter((call) => call.vault === vault).map(({ operation }) => operation);
}

/** Events of findings, by what they tell of. */
async function toldFindings(): Promise<readonly string[]> {
  const events = await fleet.events('keybroker.audit.finding');
  return events.map(({ subject, data }) => `${subject} ${String(data['code'])} ${String(data['change'])}`).sort();
}

describe('permission audit', () => {
  it('P1: looks at every link of every server by get, wrap and the canary, and finds nothing where all is well', async () => {
    await addServers(60);
    await fleet.audit(one);
    const audit = await read(one);
    expect(audit).toMatchObject({ slot, counts: { servers: 60, links: 120, errors: 0, warnings: 0 }, findings: { items: [], next: null } });
    expect(audit.finishedAt).not.toBeNull();
    for (const vault of ['west', 'north']) {
      for (const operation of ['get', 'wrapKey', 'unwrapKey']) expect(calls(vault).filter((call) => call === operation)).toHaveLength(60);
    }
    expect(await fleet.events('keybroker.audit.completed')).toMatchObject([{ subject: slot, data: { servers: 60, errors: 0 } }]);
  });

  it('P1: a second run of the slot calls no vault and tells nothing twice', async () => {
    await addServers(3);
    await fleet.audit(one);
    const before = fleet.vaults.calls.length;
    await fleet.audit(one);
    await fleet.audit(fleet.start('two'));
    expect(fleet.vaults.calls).toHaveLength(before);
    expect(await fleet.events('keybroker.audit.completed')).toHaveLength(1);
  });

  it('P1: an expired key is never wrapped with, and still unwrapped (C2)', async () => {
    await addServers(1);
    fleet.vaults.truth.get('west')!.keys.get('k1')!.expired = true;
    await fleet.audit(one);
    expect(calls('west')).toEqual(['get', 'unwrapKey']);
    expect(await fleet.findings(one, slot)).toMatchObject([{ code: 'KeyExpired', severity: 'error', vault: 'west', change: 'new' }]);
  });

  it('P1: a former protector is not wrapped with; one that cannot unwrap any more is found (K5)', async () => {
    const former = linkTo('south', 'k2', { role: 'additional' });
    const protector = linkTo('west', 'k1');
    await fleet.addServer('sql-a', { links: [protector, standbyOf(protector, 'north', 'k1'), former] });
    fleet.vaults.truth.get('south')!.keys.get('k2')!.state = 'deleted';
    await fleet.audit(one);
    expect(calls('south')).toEqual(['get', 'unwrapKey']);
    const found = await fleet.findings(one, slot);
    expect(found.map(({ code }) => code)).toContain('FormerKeyUnusable');
    expect(found.every(({ keyId }) => keyId === keyIdOf('south', 'k2'))).toBe(true);
  });

  it('F3, F4: where the primary denies access the latch is stored, and nothing goes to its standby', async () => {
    await addServers(1);
    fleet.vaults.truth.get('west')!.forbidden.set(null, new Set(['unwrapKey']));
    await fleet.audit(one);
    expect(calls('north')).toEqual([]);
    expect(await fleet.findings(one, slot)).toMatchObject([
      { code: 'UnwrapDenied', severity: 'error', vault: 'west' },
      { code: 'ProofStale', severity: 'info', vault: 'north' },
    ]);
    const keys = await one.roads.listKeys('sql-000', context);
    expect(keys.ok && keys.value.items[0]?.latch).toMatchObject({ status: 'suspected' });
  });

  it('P1: other material behind a standby is found by the canary that its primary wrapped', async () => {
    const protector = linkTo('west', 'k1');
    const wrong = { ...standbyOf(protector, 'north', 'k2'), thumbprint: protector.thumbprint };
    await fleet.addServer('sql-a', { links: [protector, wrong] });
    await fleet.audit(one);
    const found = await fleet.findings(one, slot);
    expect(found.filter(({ code }) => code === 'MaterialMismatch')).toMatchObject([{ severity: 'error', vault: 'north' }]);
  });

  it('P1, P2: findings are compared with the audit before; events tell only of what is new or resolved', async () => {
    await fleet.addServer('sql-a', { links: [linkTo('west', 'k1')] });
    await fleet.addServer('sql-b');
    await fleet.audit(one);
    expect(await toldFindings()).toEqual(['sql-a NoStandby new']);

    fleet.vaults.truth.get('north')!.forbidden.set(null, new Set(['get']));
    await fleet.clock.advance(6 * hour);
    await fleet.audit(one);
    expect((await read(one, nextSlot)).findings.items.map(({ code, change }) => [code, change])).toEqual([
      ['NoStandby', 'continued'],
      ['GetDenied', 'new'],
    ]);
    expect(await toldFindings()).toEqual(['sql-a NoStandby new', 'sql-b GetDenied new']);

    fleet.vaults.truth.get('north')!.forbidden.clear();
    await fleet.clock.advance(6 * hour);
    await fleet.audit(one);
    expect(await fleet.findings(one, '2026-11-22T18:00:00Z', ['resolved'])).toMatchObject([{ code: 'GetDenied', server: 'sql-b' }]);
    expect((await read(one, '2026-11-22T18:00:00Z')).counts).toMatchObject({ warnings: 1, errors: 0, resolved: 1 });
    expect(await toldFindings()).toEqual(['sql-a NoStandby new', 'sql-b GetDenied new', 'sql-b GetDenied resolved']);
  });

  it('P1: killed at any point, the next run goes on where it stopped: every server is reported once', async () => {
    const names = await addServers(80);
    for (const killAfter of [1, 40, 150, 300]) {
      const current = fleet.start(`killed-${killAfter}`);
      fleet.vaults.onCall = () => {
        if (fleet.vaults.calls.length >= killAfter) current.kill();
      };
      await fleet.audit(current, 5_000);
    }
    fleet.vaults.onCall = () => undefined;
    await fleet.audit(one);
    const audit = await read(one);
    expect(audit.finishedAt).not.toBeNull();
    expect(audit.counts).toMatchObject({ servers: names.length, links: 2 * names.length });
    expect(await fleet.events('keybroker.audit.completed')).toHaveLength(1);
  });

  it('P1: two instances share the work; no server is looked at, or reported, twice', async () => {
    const names = await addServers(200);
    const two = fleet.start('two');
    await Promise.all([fleet.audit(one), fleet.audit(two)]);
    expect((await read(two)).counts).toMatchObject({ servers: names.length });
    expect(calls('west').filter((operation) => operation === 'unwrapKey')).toHaveLength(names.length);
    const by = new Set(fleet.vaults.calls.map(({ instance }) => instance));
    expect(by).toEqual(new Set(['one', 'two']));
  });

  it('P1: a claim whose holder is gone lapses; one whose holder works on does not, however long it takes', async () => {
    await addServers(2);
    one.budget.used = 999;
    const slow = fleet.audit(one, 120_000);
    const two = fleet.start('two');
    two.budget.used = 0;
    await slow;
    expect(fleet.vaults.calls).toEqual([]);
    await fleet.audit(two, 120_000);
    expect((await read(two)).finishedAt).not.toBeNull();
    expect((await read(two)).counts.servers).toBe(2);
  });

  it.each([600, 850, 950])('P1: where steady traffic uses %i of 1000 points, the audit ends nevertheless', async (used) => {
    await addServers(10);
    one.budget.used = used;
    await fleet.audit(one, 120_000);
    expect((await read(one)).finishedAt).not.toBeNull();
  });

  it('P1: where traffic uses all there is, no call is made until it leaves something', async () => {
    await addServers(2);
    one.budget.used = 1000;
    await fleet.audit(one, 60_000);
    expect(fleet.vaults.calls).toEqual([]);
    expect((await read(one)).finishedAt).toBeNull();
    one.budget.used = 900;
    await fleet.clock.advance(120_000);
    expect((await read(one)).finishedAt).not.toBeNull();
  });

  it('P1: a run that nears the end of its time leaves the rest to the next, which finishes the slot', async () => {
    await addServers(2);
    one.budget.used = 999;
    await fleet.audit(one, 500_000);
    expect((await read(one)).finishedAt).toBeNull();
    one.budget.used = 0;
    await one.roads.watch();
    await fleet.clock.advance(10_000);
    expect((await read(one)).finishedAt).not.toBeNull();
  });

  it('P1: a server that changes while those before it in its page wait is seen as it is by then', async () => {
    await addServers(3);
    await fleet.addServer('sql-last', { links: [linkTo('west', 'k3')] });
    one.budget.used = 999;
    await fleet.audit(one, 20_000);
    await fleet.addServer('sql-last', { links: [linkTo('west', 'k2')] });
    one.budget.used = 0;
    await fleet.clock.advance(60_000);
    expect((await read(one)).counts.servers).toBe(4);
    const keys = new Set(fleet.vaults.calls.map(({ keyId }) => keyId));
    expect(keys).toContain(keyIdOf('west', 'k2'));
    expect(keys).not.toContain(keyIdOf('west', 'k3'));
  });

  it('P1: where what the audit before found cannot be read, all is new, and no run is stopped', async () => {
    await fleet.addServer('sql-alone', { links: [linkTo('west', 'k1')] });
    await fleet.audit(one);
    await fleet.clock.advance(6 * hour);
    fleet.store.before = (access, key) => {
      if (access === 'read' && key.includes(slot)) throw new Unreadable('a row');
    };
    await fleet.audit(fleet.start('two'), 60_000);
    fleet.store.before = undefined;
    const audit = await read(one, nextSlot);
    expect(audit.finishedAt).not.toBeNull();
    expect(audit.findings.items).toMatchObject([{ server: 'sql-alone', code: 'NoStandby', change: 'new' }]);
  });

  it('P1: a server that cannot be read keeps no other from being seen; what was found there before stands', async () => {
    await addServers(30);
    await fleet.addServer('sql-alone', { links: [linkTo('west', 'k1')] });
    await fleet.audit(one);
    await fleet.clock.advance(6 * hour);
    const two = fleet.start('two');
    fleet.store.before = (access, key) => {
      if (access === 'read' && (key === 'server/sql-alone' || key === 'server/sql-004')) throw new Unreadable('a row');
    };
    await fleet.audit(two, 60_000);
    fleet.store.before = undefined;
    const audit = await read(two, nextSlot);
    expect(audit.finishedAt).not.toBeNull();
    expect(audit.counts).toMatchObject({ servers: 29, warnings: 1, resolved: 0 });
    expect(audit.findings.items).toMatchObject([{ server: 'sql-alone', code: 'NoStandby', change: 'continued' }]);
  });

  it('P1: a run that the store ends gives its pages back when all that it began has ended, and loses nothing of that', async () => {
    await addServers(60);
    let refused = 0;
    fleet.store.before = (access, key) => {
      if (access === 'read' && key === 'server/sql-005' && (refused += 1) === 1) throw new StoreAway('for a moment');
    };
    await fleet.audit(one);
    expect((await read(one)).finishedAt).toBeNull();
    const made = fleet.vaults.calls.length;
    await fleet.clock.advance(10_000);
    expect(fleet.vaults.calls).toHaveLength(made);
    // A claim that was not given back would hold for 30 s.
    await fleet.audit(fleet.start('two'), 20_000);
    expect((await read(one)).finishedAt).not.toBeNull();
    expect(calls('west').filter((operation) => operation === 'unwrapKey')).toHaveLength(60);
  });

  it('P1: the store away ends a run; nothing is lost', async () => {
    await addServers(30);
    fleet.vaults.onCall = () => (fleet.store.away = fleet.vaults.calls.length >= 20);
    await fleet.audit(one, 10_000);
    fleet.vaults.onCall = () => undefined;
    fleet.store.away = false;
    await fleet.clock.advance(60_000);
    await fleet.audit(one);
    expect((await read(one)).counts.servers).toBe(30);
  });

  it('an audit by hand is named by its second; too many that have not ended are refused', async () => {
    await addServers(1);
    one.budget.used = 999;
    const begun = await one.roads.startAudit(context);
    expect(begun).toMatchObject({ ok: true, value: { slot: '2026-11-22T06:00:01Z', finishedAt: null } });
    for (let more = 0; more < 3; more += 1) {
      await fleet.clock.advance(1000);
      expect((await one.roads.startAudit(context)).ok).toBe(true);
    }
    await fleet.clock.advance(1000);
    expect(await one.roads.startAudit(context)).toMatchObject({ ok: false, refusal: { code: 'Conflict', retryable: true } });
  });

  it('an unknown slot is not found; a cursor of another list is refused', async () => {
    expect(await one.roads.getAudit({ slot, ...page }, context)).toMatchObject({ ok: false, refusal: { code: 'NotFound' } });
    await fleet.audit(one);
    for (const asked of [
      one.roads.getAudit({ slot, ...page, after: 'sql-a' }, context),
      one.roads.listAudits({ after: 'sql-a', limit: 1 }, context),
    ])
      expect(await asked).toMatchObject({ ok: false, refusal: { code: 'InvalidRequest' } });
  });
});
