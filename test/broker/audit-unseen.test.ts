import { beforeEach, describe, expect, it } from 'vitest';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet } from '../support/audit-fleet.ts';
import { aCaller, aContext, hour } from '../support/builders.ts';

const nextSlot = '2026-11-22T12:00:00Z';
const lastSlot = '2026-11-22T18:00:00Z';

let fleet: AuditFleet;
let one: AuditInstance;
beforeEach(async () => {
  fleet = await auditFleet();
  one = fleet.start('one');
  await fleet.addServer('sql-a');
});

function truth(vault: 'west' | 'north') {
  return fleet.vaults.truth.get(vault)!;
}

async function nextAudit(): Promise<void> {
  await fleet.clock.advance(6 * hour);
  await fleet.audit(one);
}

/** Events of findings, as `code vault change`, of this slot alone. */
async function toldIn(slot: string): Promise<readonly string[]> {
  const events = await fleet.events('keybroker.audit.finding');
  return events
    .filter(({ data }) => data['slot'] === slot)
    .map(({ data }) => `${String(data['code'])} ${String(data['vault'])} ${String(data['change'])}`);
}

describe('P1: what an audit could not look at goes on as it was known', () => {
  it('where the vault is down: it is told as resolved once it was looked at again, and not before', async () => {
    truth('north').forbidden.set(null, new Set(['get']));
    await fleet.audit(one);
    truth('north').trouble = 'error5xx';
    truth('north').forbidden.clear();
    await nextAudit();
    expect(await toldIn(nextSlot)).toEqual(['KeyUnreachable north new']);
    expect(await fleet.findings(one, nextSlot)).toMatchObject([
      { code: 'KeyUnreachable', change: 'new' },
      { code: 'GetDenied', vault: 'north', change: 'continued' },
    ]);
    truth('north').trouble = null;
    await nextAudit();
    expect(await toldIn(lastSlot)).toEqual(['KeyUnreachable north resolved', 'GetDenied north resolved']);
  });

  it('F3: at a standby that was not called, since its primary denies access', async () => {
    truth('north').forbidden.set(null, new Set(['unwrapKey']));
    await fleet.audit(one);
    truth('west').forbidden.set(null, new Set(['unwrapKey']));
    await nextAudit();
    expect((await toldIn(nextSlot)).filter((told) => told.startsWith('UnwrapDenied'))).toEqual(['UnwrapDenied west new']);
    expect(await fleet.findings(one, nextSlot, ['continued'])).toMatchObject([{ code: 'UnwrapDenied', vault: 'north' }]);
  });

  it('permissions that nobody could read this time, of the broker and of an identity of the server', async () => {
    let readable = true;
    one = fleet.start('two', { permissions: { granted: () => Promise.resolve(readable ? ['keys/delete'] : null) } });
    await fleet.addServer('sql-a', { server: { identityClientId: '00000000-0000-4000-8000-000000000001' } });
    await fleet.audit(one);
    readable = false;
    await nextAudit();
    expect(await toldIn(nextSlot)).toEqual([]);
    const known = (await fleet.findings(one, nextSlot)).map(({ code, vault, server, change }) => [code, vault, server, change]);
    expect(known).toEqual([
      ['ExcessPermission', 'west', 'sql-a', 'continued'],
      ['ExcessPermission', 'north', 'sql-a', 'continued'],
      ...['north', 'south', 'west'].map((vault) => ['ExcessPermission', vault, null, 'continued']),
    ]);
  });

  it('F7: a vault that throttles is told as that, as a warning', async () => {
    truth('north').trouble = 'throttle';
    await fleet.audit(one);
    const found = await fleet.findings(one, '2026-11-22T06:00:00Z');
    expect(found).toMatchObject([
      { code: 'KeyUnreachable', severity: 'warning', vault: 'north', detail: expect.stringContaining('throttles') as string },
      { code: 'ProofStale', severity: 'warning', vault: 'north' },
    ]);
  });
});

describe('P1: the audit that ended last is the one before', () => {
  const slot = '2026-11-22T06:00:00Z';

  async function auditByHand(): Promise<string> {
    const begun = await one.roads.startAudit(aContext(aCaller(['KeyBroker.Operator'])));
    await fleet.clock.advance(30_000);
    return begun.ok ? begun.value.slot : begun.refusal.detail;
  }

  beforeEach(async () => {
    truth('north').forbidden.set(null, new Set(['get']));
    await fleet.clock.advance(hour);
    expect(await auditByHand()).toBe('2026-11-22T07:00:01Z');
  });

  it('also where it was begun by hand, within the six hours whose audit comes after it', async () => {
    await fleet.audit(one);
    expect(await fleet.findings(one, slot)).toMatchObject([{ code: 'GetDenied', change: 'continued' }]);
    expect(await toldIn(slot)).toEqual([]);
  });

  it('also where one that ended before it has the later name', async () => {
    truth('north').forbidden.clear();
    await fleet.audit(one);
    expect(await toldIn(slot)).toEqual(['GetDenied north resolved']);
    expect(await toldIn(await auditByHand())).toEqual([]);
  });
});
