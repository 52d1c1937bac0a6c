import { beforeEach, describe, expect, it } from 'vitest';
import type { DrillReport } from '../../src/broker/fleet-views.ts';
import { instant } from '../../src/domain/time.ts';
import { keyIdOf, thumbprintOf } from '../model/world/vaults.ts';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet, linkTo, standbyOf } from '../support/audit-fleet.ts';
import { aCaller, aContext, minute } from '../support/builders.ts';

const context = aContext(aCaller(['KeyBroker.Operator']));

let fleet: AuditFleet;
let one: AuditInstance;
beforeEach(async () => {
  fleet = await auditFleet();
  one = fleet.start('one');
});

/** A road's answer, with time moving on until it is there. */
async function inTime<T>(road: Promise<T>): Promise<T> {
  const answer: { value?: T } = {};
  void road.then((value) => (answer.value = value));
  for (let passed = 0; passed < 10_000 && answer.value === undefined; passed += 100) await fleet.clock.advance(100);
  return road;
}

/** A server whose primary was proven a moment ago, by the audit. */
async function proven(name: string, links?: Parameters<AuditFleet['addServer']>[1]): Promise<void> {
  await fleet.addServer(name, links);
  await fleet.audit(one);
}

async function drill(name: string): Promise<DrillReport> {
  const answer = await inTime(one.roads.drill(name, context));
  if (!answer.ok) throw new Error(`${answer.refusal.code}: ${answer.refusal.detail}`);
  return answer.value;
}

async function refusal(name: string) {
  const answer = await inTime(one.roads.drill(name, context));
  return answer.ok ? undefined : answer.refusal;
}

function since(count: number, vault: string): readonly string[] {
  return fleet.vaults.calls
    .slice(count)
    .filter((call) => call.vault === vault)
    .map(({ operation }) => operation);
}

describe('drill', () => {
  it('proves each standby by one unwrap in its vault, calls nothing else, and switches nothing', async () => {
    await proven('sql-a');
    const before = fleet.vaults.calls.length;
    const report = await drill('sql-a');
    expect(report).toMatchObject({
      server: 'sql-a',
      ok: true,
      findings: [],
      standbys: [{ keyId: keyIdOf('north', 'k1'), vault: 'north', region: 'northeurope', ok: true, findings: [] }],
    });
    expect(report.standbys[0]?.provenAt).toBeGreaterThanOrEqual(report.at);
    expect(report.standbys[0]?.latencyMs).toBeGreaterThan(0);
    expect(since(before, 'north')).toEqual(['unwrapKey']);
    expect(since(before, 'west')).toEqual([]);
    const server = await one.roads.getServer('sql-a', context);
    expect(server.ok && server.value.state).toBe('online');
  });

  it.each<[string, () => unknown, string]>([
    ['is forbidden to unwrap', () => fleet.vaults.truth.get('north')!.forbidden.set(null, new Set(['unwrapKey'])), 'UnwrapDenied'],
    ['has lost the key', () => (fleet.vaults.truth.get('north')!.keys.get('k1')!.state = 'deleted'), 'KeyNotFound'],
    ['is down', () => (fleet.vaults.truth.get('north')!.trouble = 'error5xx'), 'KeyUnreachable'],
  ])('a standby whose vault %s fails the drill, with what was seen', async (_what, harm, code) => {
    await proven('sql-a');
    harm();
    const report = await drill('sql-a');
    expect(report).toMatchObject({ ok: false, standbys: [{ ok: false, latencyMs: null, findings: [{ code, severity: 'error' }] }] });
  });

  it('K1: a standby that does not unwrap what its primary wrapped fails the drill', async () => {
    const protector = linkTo('west', 'k1');
    await proven('sql-a', { links: [protector, standbyOf(protector, 'north', 'k2')] });
    const report = await drill('sql-a');
    expect(report.ok).toBe(false);
    expect(report.standbys[0]).toMatchObject({ ok: false, result: 'failed' });
    // By the canary, and by its thumbprint.
    expect(report.standbys[0]?.findings.map(({ code }) => code)).toEqual(['MaterialMismatch', 'MaterialMismatch']);
  });

  it('the report is whole: who asked, for which primary, what was proven, and the room in the vault (B1)', async () => {
    await fleet.addServer('sql-b');
    await proven('sql-a');
    for (const server of ['sql-a', 'sql-b'])
      expect((await one.roads.putDatabase({ server, database: 'more', tier: 'BusinessCritical' }, context)).ok).toBe(true);
    const report = await drill('sql-a');
    const thumbprint = thumbprintOf('k1');
    expect(report).toMatchObject({
      by: context.caller.objectId,
      requestId: context.requestId,
      primaries: [{ keyId: keyIdOf('west', 'k1'), role: 'protector', thumbprint, vault: 'west' }],
      standbys: [{ standbyOf: keyIdOf('west', 'k1'), thumbprint, result: 'proven', association: { used: 14, limit: 1000, ofServer: 7 } }],
    });
    expect(report.primaries[0]?.provenAt).toBeGreaterThan(0);
  });

  it('P3: each standby leaves a record, which the report names', async () => {
    await proven('sql-a');
    const report = await drill('sql-a');
    expect(fleet.records).toMatchObject([
      {
        operation: 'drill',
        server: 'sql-a',
        database: null,
        caller: context.caller.objectId,
        requestId: context.requestId,
        keyId: keyIdOf('north', 'k1'),
        thumbprint: thumbprintOf('k1'),
        vault: 'north',
        role: 'standby',
        outcome: 'ok',
        attempts: [{ vault: 'north', role: 'standby', class: 'ok', status: 200 }],
      },
    ]);
    expect(report.standbys[0]?.record).toBe(`one/${fleet.records[0]?.number}`);
  });

  it.each<[string, () => unknown, string, readonly string[]]>([
    ['denies', () => fleet.vaults.truth.get('north')!.forbidden.set(null, new Set(['unwrapKey'])), 'KeyAccessDenied', ['revoked']],
    ['is down', () => (fleet.vaults.truth.get('north')!.trouble = 'error5xx'), 'VaultUnavailable', ['outage']],
    ['throttles', () => (fleet.vaults.truth.get('north')!.trouble = 'throttle'), 'Throttled', ['throttled']],
    ['has no room for a call', () => one.budget.busy.add('north'), 'Throttled', []],
  ])('P3: the record of a standby whose vault %s says so', async (_what, harm, outcome, classes) => {
    await proven('sql-a');
    harm();
    await drill('sql-a');
    expect(fleet.records.map((record) => [record.outcome, record.attempts.map((attempt) => attempt.class)])).toEqual([[outcome, classes]]);
  });

  it.each<[string, () => unknown, RegExp]>([
    ['has no room in its budget', () => one.budget.busy.add('north'), /budget .* is used up/],
    ['throttles', () => (fleet.vaults.truth.get('north')!.trouble = 'throttle'), /throttles/],
  ])('a standby whose vault %s is no failed one: it was not proven, and the finding says why', async (_what, harm, why) => {
    await proven('sql-a');
    harm();
    const report = await drill('sql-a');
    expect(report.ok).toBe(false);
    expect(report.standbys).toMatchObject([
      { ok: false, result: 'notProven', findings: [{ code: 'KeyUnreachable', severity: 'warning' }] },
    ]);
    expect(report.standbys[0]?.findings[0]?.detail).toMatch(why);
  });

  it('a standby whose circuit is open is told as that', async () => {
    const other = linkTo('west', 'k2');
    await fleet.addServer('sql-b', { links: [other, standbyOf(other, 'north', 'k2')] });
    await proven('sql-a');
    fleet.vaults.truth.get('north')!.trouble = 'error5xx';
    for (const name of ['sql-a', 'sql-b', 'sql-a', 'sql-b']) await drill(name);
    expect((await drill('sql-a')).standbys).toMatchObject([
      { result: 'failed', findings: [{ code: 'KeyUnreachable', severity: 'error', detail: expect.stringContaining('circuit') as string }] },
    ]);
    expect(fleet.records.at(-1)).toMatchObject({ outcome: 'VaultUnavailable', attempts: [{ class: 'circuitOpen' }] });
  });

  it('F3: a drill whose protector denies access is refused, and its standby is not called', async () => {
    await fleet.addServer('sql-a');
    fleet.vaults.truth.get('west')!.forbidden.set(null, new Set(['unwrapKey']));
    await fleet.audit(one);
    const detail = expect.stringContaining('is denied') as string;
    expect(await refusal('sql-a')).toMatchObject({ code: 'Conflict', detail, findings: [{ code: 'ProofStale', vault: 'west', detail }] });
    expect(since(0, 'north')).toEqual([]);
    expect(fleet.records).toMatchObject([
      { operation: 'drill', keyId: keyIdOf('west', 'k1'), role: 'primary', outcome: 'Conflict', attempts: [] },
    ]);
  });

  it('K5: standbys of a former protector are proven too; where that one denies access they are not called', async () => {
    const protector = linkTo('west', 'k1');
    const former = linkTo('west', 'k2', { role: 'additional' });
    await proven('sql-a', { links: [protector, standbyOf(protector, 'north', 'k1'), former, standbyOf(former, 'south', 'k2')] });
    expect((await drill('sql-a')).standbys.map(({ vault, ok }) => [vault, ok])).toEqual([
      ['north', true],
      ['south', true],
    ]);
    fleet.vaults.truth.get('west')!.keys.get('k2')!.state = 'deleted';
    await fleet.clock.advance(6 * 60 * minute);
    await fleet.audit(one);
    const before = fleet.vaults.calls.length;
    const report = await drill('sql-a');
    expect(report.standbys.map(({ vault, ok }) => [vault, ok])).toEqual([
      ['north', true],
      ['south', false],
    ]);
    expect(report.ok).toBe(false);
    expect(since(before, 'south')).toEqual([]);
  });

  it('F3: a primary whose proof is too old for a failover is told', async () => {
    await proven('sql-a');
    await fleet.clock.advance(16 * minute);
    expect(await drill('sql-a')).toMatchObject({ ok: false, standbys: [{ ok: true }], findings: [{ code: 'ProofStale' }] });
  });

  it('a server without standby passes no drill', async () => {
    await proven('sql-a', { links: [linkTo('west', 'k1')] });
    expect(await drill('sql-a')).toMatchObject({ ok: false, standbys: [], findings: [{ code: 'NoStandby', severity: 'warning' }] });
  });

  it('an unknown server is not found, one without protector has nothing to drill, an inaccessible one is refused (A6)', async () => {
    expect(await refusal('sql-none')).toMatchObject({ code: 'NotFound' });
    await fleet.addServer('sql-bare', { links: [] });
    expect(await refusal('sql-bare')).toMatchObject({ code: 'Conflict' });
    for (const state of ['pendingValidation', 'inaccessible', 'needsRevalidation'] as const) {
      await fleet.addServer(`sql-${state}`, { server: { state, since: instant(0) } });
      expect(await refusal(`sql-${state}`)).toMatchObject({ code: 'ServerInaccessible' });
    }
    expect(fleet.vaults.calls).toEqual([]);
  });
});
