import { describe, expect, it } from 'vitest';
import { until, untilTrue, useJourneys } from '../support/journeys.ts';
import type { Fleet, FindingBody, OwnVault, PageBody, Traveller } from '../support/journeys.ts';

/* What operators and auditors do: audits, drills, the status document. */
const journeys = useJourneys();

interface AuditBody {
  readonly slot: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly servers: number;
  readonly links: number;
  readonly errors: number;
  readonly warnings: number;
  readonly excessPermissions: string;
  readonly findings: PageBody<FindingBody & { readonly change: string }>;
}

interface DrillBody {
  readonly server: string;
  readonly at: string;
  readonly by: string;
  readonly requestId: string;
  readonly ok: boolean;
  readonly standbys: readonly {
    readonly vault: string;
    readonly ok: boolean;
    readonly provenAt: string;
    readonly latencyMs: number;
    readonly record: string;
  }[];
}

interface StatusBody {
  readonly servers: {
    readonly total: number;
    readonly byState: Readonly<Record<string, number>>;
    readonly notOnline: PageBody<{ readonly name: string; readonly state: string; readonly clock: object | null }>;
  };
  readonly vaults: readonly { readonly name: string; readonly latches: { readonly suspected: number; readonly confirmed: number } }[];
  readonly latchedLinks: { readonly total: number; readonly items: readonly object[] };
  readonly audit: { readonly slot: string } | null;
  readonly oldestProof: { readonly provenAt: string } | null;
  readonly undeliveredEvents: { readonly count: number };
  readonly instances: readonly { readonly instance: string }[];
}

/** Runs an audit by hand to its end. */
async function audit(traveller: Traveller): Promise<AuditBody> {
  // Two audits of one second are one.
  await traveller.advance('PT1S');
  const begun = await traveller.as<AuditBody>('Operator', 'POST /v1/audits');
  expect(begun.status).toBe(202);
  expect(begun.headers.get('location')).toBe(`/v1/audits/${begun.body.slot}`);
  return until('the audit to end', async () => {
    const { body } = await traveller.as<AuditBody>('Auditor', `GET /v1/audits/${begun.body.slot}?limit=1000`);
    return body.finishedAt === null ? undefined : body;
  });
}

function about({ findings }: AuditBody, { server }: Fleet) {
  return findings.items.filter((finding) => finding.server === server);
}

async function allow(traveller: Traveller, vault: OwnVault, operations: readonly string[]): Promise<void> {
  await traveller.control(`PUT /vaults/${vault.name}/access`, { allow: operations });
}

const everything = ['get', 'wrapKey', 'unwrapKey'];

describe('permission audits', () => {
  it('P1: looks at each link by get, wrap and unwrap, once, and says that permissions were not checked', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    await traveller.clearCalls(fleet.west, fleet.north);
    const report = await audit(traveller);
    expect(about(report, fleet)).toEqual([]);
    expect(report.servers).toBeGreaterThanOrEqual(1);
    expect(report.excessPermissions).toBe('not checked');
    for (const vault of [fleet.west, fleet.north]) {
      expect((await traveller.calls(vault)).map(({ operation }) => operation)).toEqual(everything);
    }
  });

  it('P1, P2: a finding is new, continued, resolved; it says what to do, and events tell of its beginning and end', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    await audit(traveller);
    await allow(traveller, fleet.north, ['wrapKey', 'unwrapKey']);
    const expected = { code: 'GetDenied', severity: 'error', vault: fleet.north.name, keyId: fleet.standbyKeyId };
    const first = about(await audit(traveller), fleet);
    expect(first).toMatchObject([{ ...expected, change: 'new' }]);
    expect(first[0]?.action).toMatch(/\.$/);
    expect(about(await audit(traveller), fleet)).toMatchObject([{ ...expected, change: 'continued' }]);
    await allow(traveller, fleet.north, everything);
    const healed = await audit(traveller);
    expect(about(healed, fleet)).toEqual([]);
    const { body } = await traveller.as<AuditBody>('Auditor', `GET /v1/audits/${healed.slot}?change=resolved`);
    expect(about(body, fleet)).toMatchObject([{ ...expected, change: 'resolved' }]);
    await untilTrue('both events', async () => {
      const told = (await traveller.events(fleet.server)).filter(({ type }) => type === 'keybroker.audit.finding');
      return told.map(({ data }) => data['change']).join() === 'new,resolved';
    });
  });

  it('P1: the expiry of a key is told in time to act', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const version = fleet.keyId.split('/').at(-1) ?? '';
    const now = Date.parse((await audit(traveller)).startedAt);
    const expires = new Date(now + 5 * 86_400_000).toISOString();
    await traveller.control(`PATCH /vaults/${fleet.west.name}/keys/${fleet.key}/${version}`, { expires });
    expect(about(await audit(traveller), fleet)).toMatchObject([{ code: 'KeyExpiresSoon', severity: 'error', vault: fleet.west.name }]);
  });

  it('P1: what a vault that hangs keeps from being seen is not resolved by that', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const version = fleet.keyId.split('/').at(-1) ?? '';
    const now = Date.parse((await audit(traveller)).startedAt);
    const expires = new Date(now + 20 * 86_400_000).toISOString();
    await traveller.control(`PATCH /vaults/${fleet.west.name}/keys/${fleet.key}/${version}`, { expires });
    expect(about(await audit(traveller), fleet)).toMatchObject([{ code: 'KeyExpiresSoon', change: 'new' }]);
    await traveller.control(`PUT /vaults/${fleet.west.name}/fault`, { fault: 'hang' });
    const blind = await audit(traveller);
    expect(about(blind, fleet).map(({ code, change }) => `${code} ${change}`)).toEqual(['KeyUnreachable new', 'KeyExpiresSoon continued']);
    const { body } = await traveller.as<AuditBody>('Auditor', `GET /v1/audits/${blind.slot}?change=resolved`);
    expect(about(body, fleet)).toEqual([]);
    await traveller.control(`DELETE /vaults/${fleet.west.name}/fault`);
  });

  it('P1: the timer audits its slot once; audits are listed newest first', async (context) => {
    const traveller = journeys.begin(context);
    const byHand = await audit(traveller);
    const run = async (): Promise<void> => {
      expect((await journeys.broker('POST /admin/functions/permissionAudit', { body: { input: '' } })).status).toBe(202);
    };
    await traveller.advance('PT6H');
    await run();
    const timed = await until('the audit of the slot', async () => {
      const { body: listed } = await traveller.as<PageBody<AuditBody>>('Auditor', 'GET /v1/audits?limit=1');
      const [newest] = listed.items;
      return newest !== undefined && newest.slot > byHand.slot && newest.finishedAt !== null ? newest : undefined;
    });
    expect(timed.slot).toMatch(/T(00|06|12|18):00:00Z$/);
    await run();
    const again = await traveller.as<AuditBody>('Auditor', `GET /v1/audits/${timed.slot}`);
    expect(again.body.finishedAt).toBe(timed.finishedAt);
  });

  it.each([
    ['Auditor', 'GET /v1/audits/2020-01-01T00:00:00Z', 404, 'NotFound'],
    ['Auditor', 'GET /v1/audits/yesterday', 400, 'InvalidRequest'],
    ['Auditor', 'GET /v1/audits?after=yesterday', 400, 'InvalidRequest'],
    ['Auditor', 'POST /v1/audits', 403, 'CallerNotAllowed'],
    ['Operator', 'POST /v1/servers/nobody/drill', 404, 'NotFound'],
    ['Auditor', 'POST /v1/servers/nobody/drill', 403, 'CallerNotAllowed'],
  ] as const)('%s: %s is %i %s', async (role, call, status, code) => {
    const token = await journeys.token({ roles: [`KeyBroker.${role}`] });
    const answer = await journeys.broker<{ code: string }>(call, { token });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });
});

describe('drills', () => {
  it('proves the standby by one unwrap in its vault, and switches nothing', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { status, body } = await traveller.as<DrillBody>('Operator', `POST /v1/servers/${fleet.server}/drill`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ server: fleet.server, ok: true, standbys: [{ vault: fleet.north.name, ok: true }], findings: [] });
    expect((await traveller.calls(fleet.north)).map(({ operation }) => operation)).toEqual(['unwrapKey']);
    expect(await traveller.calls(fleet.west)).toEqual([]);
    await traveller.wrapped(fleet);
  });

  it('P3: an auditor finds who drilled which standby, when, and what came of it', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { body: report } = await traveller.as<DrillBody>('Operator', `POST /v1/servers/${fleet.server}/drill`);
    const [record] = await until('the record', async () => {
      const { body } = await traveller.as<PageBody<Record<string, unknown>>>('Auditor', `GET /v1/operations?server=${fleet.server}`);
      const drilled = body.items.filter(({ operation }) => operation === 'drill');
      return drilled.length > 0 ? drilled : undefined;
    });
    const { by, requestId } = report;
    expect(record).toMatchObject({
      caller: by,
      requestId,
      database: null,
      keyId: fleet.standbyKeyId,
      vault: fleet.north.name,
      outcome: 'ok',
    });
    expect(`${String(record?.['instance'])}/${String(record?.['number'])}`).toBe(report.standbys[0]?.record);
  });

  it('F3: where the protector denies access the drill is refused, and the second vault is never called', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const { wrappedDek } = await traveller.wrapped(fleet);
    await allow(traveller, fleet.west, []);
    expect((await traveller.unwrap(fleet, wrappedDek)).body.code).toBe('KeyAccessDenied');
    const refused = await traveller.as('Operator', `POST /v1/servers/${fleet.server}/drill`);
    expect(refused).toMatchObject({ status: 409, body: { code: 'Conflict' } });
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });

  it('A6: a server that is not online or at risk is not drilled', async (context) => {
    const traveller = journeys.begin(context);
    const server = `bare-${String(process.pid)}`;
    const principalId = '00000000-0000-4000-8000-00000000000b';
    await traveller.as('Operator', `PUT /v1/servers/${server}`, { engine: 'sql', region: 'westeurope', principalId });
    const refused = await traveller.as('Operator', `POST /v1/servers/${server}/drill`);
    expect(refused).toMatchObject({ status: 403, body: { code: 'ServerInaccessible' } });
  });
});

describe('the status document', () => {
  it('A5: shows the fleet: servers that are not online, latches, the newest audit, instances', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const newest = await audit(traveller);
    const { wrappedDek } = await traveller.wrapped(fleet);
    await allow(traveller, fleet.west, []);
    await traveller.unwrap(fleet, wrappedDek);
    await traveller.watch();
    const name = `waiting-${String(process.pid)}`;
    const principalId = '00000000-0000-4000-8000-00000000000c';
    await traveller.as('Operator', `PUT /v1/servers/${name}`, { engine: 'sql', region: 'westeurope', principalId });
    const status = await until('the status', async () => {
      const { body } = await traveller.as<StatusBody>('Auditor', 'GET /v1/status');
      return body.instances.length > 0 ? body : undefined;
    });
    expect(status.servers.notOnline.items).toContainEqual(expect.objectContaining({ name, state: 'pendingValidation', clock: null }));
    expect(status.servers.byState['pendingValidation']).toBeGreaterThanOrEqual(1);
    expect(status.vaults.find((vault) => vault.name === fleet.west.name)?.latches).toEqual({ suspected: 1, confirmed: 0, unknown: 0 });
    const latched = { server: fleet.server, vault: fleet.west.name, status: 'suspected', class: 'revoked' };
    expect(status.latchedLinks.items).toContainEqual(expect.objectContaining(latched));
    expect(status.audit?.slot).toBe(newest.slot);
    expect(status.oldestProof).not.toBeNull();
    expect(status.undeliveredEvents.count).toBe(0);
    const host = await traveller.asHost(fleet.server, 'GET /v1/status');
    expect(host.status).toBe(403);
  });
});
