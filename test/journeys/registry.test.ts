import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { useJourneys } from '../support/journeys.ts';
import type { Body, OwnVault, Traveller, VaultBody } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* What an operator registers and reads back; K1–K4: what a protector must be. */
const journeys = useJourneys({ instances: 2 });

interface Key {
  readonly keyId: string;
  readonly thumbprint: string;
}

const createKey = (
  traveller: Traveller,
  vault: OwnVault,
  spec: { readonly name: string; readonly [field: string]: unknown },
): Promise<Key> => traveller.control(`POST /vaults/${vault.name}/keys`, spec);
const copyKey = (traveller: Traveller, from: OwnVault, name: string, to: OwnVault): Promise<Key> =>
  traveller.control(`POST /vaults/${from.name}/keys/${name}/copy`, { to: to.name });
const patchKey = (traveller: Traveller, vault: OwnVault, { keyId }: Key, change: object): Promise<unknown> =>
  traveller.control(`PATCH /vaults/${vault.name}/keys/${keyId.split('/').slice(-2).join('/')}`, change);

/** A server of its own, as it was registered. */
async function newServer(traveller: Traveller, fields: object = {}): Promise<string> {
  const name = `s-${randomUUID()}`;
  const body = { engine: 'sql', region: 'westeurope', principalId: randomUUID(), ...fields };
  expect((await traveller.as('Operator', `PUT /v1/servers/${name}`, body)).status).toBe(201);
  return name;
}

const protect = (traveller: Traveller, server: string, keyId: string, standbyKeyIds: readonly string[] = []): Promise<Answer<Body>> =>
  traveller.as('Operator', `PUT /v1/servers/${server}/protector`, { keyId, standbyKeyIds });

/** What a case needs: a server, two good vaults, a good key and its copy. */
interface Setting {
  readonly traveller: Traveller;
  readonly server: string;
  readonly west: OwnVault;
  readonly north: OwnVault;
  readonly key: Key;
  readonly copy: Key;
}

interface Rejection {
  readonly code: string;
  readonly name: string;
  /** Spoils something and asks for the protector. */
  readonly ask: (setting: Setting) => Promise<Answer<Body>>;
  readonly engine?: string;
}

const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
const anHourAgo = () => new Date(Date.now() - 3_600_000).toISOString();

/** A good protector with a standby in a vault of another place. */
async function withStandbyIn({ traveller, server, west, key }: Setting, spec: Parameters<Traveller['vault']>[0]): Promise<Answer<Body>> {
  const vault = await traveller.vault(spec);
  return protect(traveller, server, key.keyId, [(await copyKey(traveller, west, 'good', vault)).keyId]);
}

/** A key in a vault that is not as K3 wants it. */
async function inVault({ traveller, server }: Setting, spec: object): Promise<Answer<Body>> {
  const vault = await traveller.vault({ region: 'westeurope', ...spec });
  return protect(traveller, server, (await createKey(traveller, vault, { name: 'only' })).keyId);
}

const rejections: readonly Rejection[] = [
  {
    code: 'KeyUnreachable',
    name: 'the vault is down',
    ask: async ({ traveller, server, west, key }) => (
      await traveller.fault(west, { fault: 'refuse' }),
      protect(traveller, server, key.keyId)
    ),
  },
  {
    code: 'KeyUnreachable',
    name: 'the standby’s vault is down',
    ask: async ({ traveller, server, north, key, copy }) => (
      await traveller.fault(north, { fault: 'status', status: 503 }),
      protect(traveller, server, key.keyId, [copy.keyId])
    ),
  },
  ...(['get', 'wrapKey', 'unwrapKey'] as const).map((missing) => ({
    code: { get: 'GetDenied', wrapKey: 'WrapDenied', unwrapKey: 'UnwrapDenied' }[missing],
    name: `the identity lacks ${missing}`,
    ask: async ({ traveller, server, west, key }: Setting) => {
      const allow = ['get', 'wrapKey', 'unwrapKey'].filter((operation) => operation !== missing);
      await traveller.control(`PUT /vaults/${west.name}/access`, { allow });
      return protect(traveller, server, key.keyId);
    },
  })),
  {
    code: 'KeyNotFound',
    name: 'no such version',
    ask: ({ traveller, server, key }) => protect(traveller, server, key.keyId.replace(/[^/]+$/, '0'.repeat(32))),
  },
  {
    code: 'KeyNotFound',
    name: 'the key is deleted',
    ask: async ({ traveller, server, west, key }) => (
      await traveller.control(`DELETE /vaults/${west.name}/keys/good`),
      protect(traveller, server, key.keyId)
    ),
  },
  {
    code: 'KeyDisabled',
    name: 'disabled',
    ask: async ({ traveller, server, west, key }) => (
      await patchKey(traveller, west, key, { enabled: false }),
      protect(traveller, server, key.keyId)
    ),
  },
  {
    code: 'KeyNotYetActive',
    name: 'activation in the future',
    ask: async ({ traveller, server, west, key }) => (
      await patchKey(traveller, west, key, { notBefore: inAnHour() }),
      protect(traveller, server, key.keyId)
    ),
  },
  {
    code: 'KeyExpired',
    name: 'expired',
    ask: async ({ traveller, server, west, key }) => (
      await patchKey(traveller, west, key, { expires: anHourAgo() }),
      protect(traveller, server, key.keyId)
    ),
  },
  {
    code: 'KeySizeUnsupported',
    name: '3072 bits for MySQL',
    engine: 'mysql',
    ask: async ({ traveller, server, west }) =>
      protect(traveller, server, (await createKey(traveller, west, { name: 'large', size: 3072 })).keyId),
  },
  {
    code: 'KeySizeUnsupported',
    name: '3072 bits for PostgreSQL',
    engine: 'postgresql',
    ask: async ({ traveller, server, west }) =>
      protect(traveller, server, (await createKey(traveller, west, { name: 'large', size: 3072 })).keyId),
  },
  {
    code: 'KeyOperationsMissing',
    name: 'wrapKey is not among its operations',
    ask: async ({ traveller, server, west }) =>
      protect(traveller, server, (await createKey(traveller, west, { name: 'narrow', keyOps: ['unwrapKey'] })).keyId),
  },
  {
    code: 'NameTooLong',
    name: 'more than 94 letters',
    ask: async ({ traveller, server, west }) =>
      protect(traveller, server, (await createKey(traveller, west, { name: 'k'.repeat(95 - west.name.length) })).keyId),
  },
  {
    code: 'SoftDeleteOff',
    name: 'a vault without soft delete',
    ask: (setting) => inVault(setting, { softDelete: false, purgeProtection: false }),
  },
  { code: 'PurgeProtectionOff', name: 'a vault without purge protection', ask: (setting) => inVault(setting, { purgeProtection: false }) },
  {
    code: 'VaultNotRegistered',
    name: 'the vault is not registered',
    ask: async ({ traveller, server }) => {
      const own = await traveller.control<OwnVault>('POST /vaults', { name: `kv-${randomUUID().slice(0, 8)}x`, region: 'westeurope' });
      return protect(traveller, server, (await createKey(traveller, own, { name: 'stray' })).keyId);
    },
  },
  {
    code: 'VaultNotRegistered',
    name: 'the vault is registered in a region that is not its own',
    ask: async ({ traveller, server }) => {
      const own = await traveller.control<OwnVault>('POST /vaults', { name: `kv-${randomUUID().slice(0, 8)}x`, region: 'francecentral' });
      await traveller.as('Operator', `PUT /v1/vaults/${own.name}`, {
        uri: own.uri,
        region: 'westeurope',
        geography: 'Europe',
        subscriptionId: randomUUID(),
      });
      return protect(traveller, server, (await createKey(traveller, own, { name: 'astray' })).keyId);
    },
  },
  {
    code: 'SameVault',
    name: 'a standby in its primary’s vault',
    ask: async ({ traveller, server, west, key }) =>
      protect(traveller, server, key.keyId, [(await createKey(traveller, west, { name: 'twin' })).keyId]),
  },
  { code: 'SameRegion', name: 'a standby in its primary’s region', ask: (setting) => withStandbyIn(setting, { region: 'westeurope' }) },
  {
    code: 'MaterialMismatch',
    name: 'a standby of other material',
    ask: async ({ traveller, server, north, key }) =>
      protect(traveller, server, key.keyId, [(await createKey(traveller, north, { name: 'else' })).keyId]),
  },
  {
    code: 'ChainedStandby',
    name: 'a key as its own standby',
    ask: ({ traveller, server, key }) => protect(traveller, server, key.keyId, [key.keyId]),
  },
  {
    code: 'TooManyStandbys',
    name: 'five standbys',
    ask: async (setting) => {
      const { traveller, server, west, key, copy } = setting;
      const more: string[] = [];
      for (const region of ['francecentral', 'swedencentral', 'italynorth', 'polandcentral']) {
        more.push((await copyKey(traveller, west, 'good', await traveller.vault({ region }))).keyId);
      }
      return protect(traveller, server, key.keyId, [copy.keyId, ...more]);
    },
  },
];

async function prepare(context: Parameters<typeof journeys.begin>[0], engine = 'sql'): Promise<Setting> {
  const traveller = journeys.begin(context);
  const west = await traveller.vault({ region: 'westeurope' });
  const north = await traveller.vault({ region: 'northeurope' });
  const key = await createKey(traveller, west, { name: 'good' });
  const copy = await copyKey(traveller, west, 'good', north);
  return { traveller, server: await newServer(traveller, { engine }), west, north, key, copy };
}

const errorsOf = (answer: Answer<Body>): readonly string[] =>
  (answer.body.findings ?? []).filter(({ severity }) => severity === 'error').map(({ code }) => code);

async function nothingStored(traveller: Traveller, server: string): Promise<void> {
  expect(await traveller.links({ server })).toEqual([]);
  expect((await traveller.server({ server })).state).toBe('pendingValidation');
  expect((await traveller.events(server)).filter(({ type }) => type === 'keybroker.protector.changed')).toEqual([]);
}

describe('a rejected protector', () => {
  it.concurrent.for(rejections)('K1–K4: $code: $name', async ({ code, ask, engine }, context) => {
    const setting = await prepare(context, engine);
    const answer = await ask(setting);
    expect(answer).toMatchObject({ status: 422, body: { code: 'ProtectorRejected' } });
    expect(errorsOf(answer)).toContain(code);
    for (const finding of answer.body.findings ?? []) {
      expect(finding.server).toBe(setting.server);
      expect(finding.action).toMatch(/^[A-Z].*\.$/);
    }
    await nothingStored(setting.traveller, setting.server);
  });

  it.concurrent('K3: WrongTenant: the vault challenges for another tenant', async (context) => {
    const setting = await prepare(context);
    const answer = await inVault(setting, { tenant: randomUUID() });
    expect(answer.status).toBe(422);
    expect(errorsOf(answer)).toContain('WrongTenant');
    await nothingStored(setting.traveller, setting.server);
  });

  it.concurrent('K1: OtherGeography: a standby in another geography', async (context) => {
    const setting = await prepare(context);
    // No copy of the key gets there: a backup restores within its geography only.
    const east = await setting.traveller.vault({ region: 'eastus', geography: 'United States' });
    const other = await createKey(setting.traveller, east, { name: 'far' });
    const answer = await protect(setting.traveller, setting.server, setting.key.keyId, [other.keyId]);
    expect(answer.status).toBe(422);
    expect(errorsOf(answer)).toEqual(expect.arrayContaining(['OtherGeography', 'MaterialMismatch']));
    await nothingStored(setting.traveller, setting.server);
  });

  it.concurrent('K4: every finding comes at once, about protector and standby', async (context) => {
    const { traveller, server, key, north } = await prepare(context, 'mysql');
    const weak = await traveller.vault({ region: 'northeurope', purgeProtection: false });
    const bad = await createKey(traveller, weak, { name: 'b'.repeat(95 - weak.name.length), size: 3072, keyOps: ['wrapKey', 'unwrapKey'] });
    await patchKey(traveller, weak, bad, { expires: anHourAgo(), enabled: false });
    const standby = await createKey(traveller, north, { name: 'standby' });
    await patchKey(traveller, north, standby, { notBefore: inAnHour() });
    const answer = await protect(traveller, server, bad.keyId, [standby.keyId]);
    expect(answer).toMatchObject({ status: 422, body: { code: 'ProtectorRejected' } });
    const found = new Set(
      (answer.body.findings ?? []).map(({ code, keyId }) => `${keyId === bad.keyId ? 'protector' : 'standby'} ${code}`),
    );
    const expected = ['NameTooLong', 'KeySizeUnsupported', 'KeyDisabled', 'KeyExpired', 'PurgeProtectionOff'].map(
      (code) => `protector ${code}`,
    );
    expect([...found]).toEqual(
      expect.arrayContaining([...expected, 'standby KeyNotYetActive', 'standby MaterialMismatch', 'standby SameRegion']),
    );
    await nothingStored(traveller, server);
    expect((await protect(traveller, server, key.keyId)).status).toBe(201);
  });

  it.concurrent('K5: a rejected change leaves the protector, its standby and the traffic as they were', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const before = await traveller.links(fleet);
    const narrow = await createKey(traveller, fleet.west, { name: 'narrow', keyOps: ['unwrapKey'] });
    expect((await protect(traveller, fleet.server, narrow.keyId)).status).toBe(422);
    expect((await traveller.links(fleet)).map(({ keyId, role }) => [keyId, role])).toEqual(before.map(({ keyId, role }) => [keyId, role]));
    expect((await traveller.wrap(fleet)).body.keyId).toBe(fleet.keyId);
  });

  it.concurrent('K1: warnings alone do not reject: a protector far from its server, a standby in another subscription', async (context) => {
    const { traveller, west, key } = await prepare(context);
    const server = await newServer(traveller, { region: 'francecentral' });
    const own = await traveller.control<OwnVault>('POST /vaults', { name: `kv-${randomUUID().slice(0, 8)}x`, region: 'northeurope' });
    await traveller.as('Operator', `PUT /v1/vaults/${own.name}`, {
      uri: own.uri,
      region: 'northeurope',
      geography: 'Europe',
      subscriptionId: randomUUID(),
    });
    const answer = await protect(traveller, server, key.keyId, [(await copyKey(traveller, west, 'good', own)).keyId]);
    expect(answer.status).toBe(201);
    expect(answer.body.findings?.map(({ code, severity }) => `${severity} ${code}`).sort()).toEqual([
      'warning OtherSubscription',
      'warning ProtectorRemote',
    ]);
  });
});

describe('an accepted protector', () => {
  it('K4: is proven by GET, wrap and unwrap, its standby first', async (context) => {
    const { traveller, server, west, north, key, copy } = await prepare(context);
    await traveller.clearCalls(west, north);
    expect(await protect(traveller, server, key.keyId, [copy.keyId])).toMatchObject({ status: 201, body: { findings: [] } });
    const [primary, standby] = [await traveller.calls(west), await traveller.calls(north)];
    const steps = ['get', 'wrapKey', 'unwrapKey'];
    expect(primary.map(({ operation }) => operation)).toEqual(steps);
    expect(standby.map(({ operation }) => operation).slice(0, 3)).toEqual(steps);
    expect(Date.parse(standby[2]?.at ?? '')).toBeLessThanOrEqual(Date.parse(primary[0]?.at ?? ''));
    expect((await traveller.server({ server })).state).toBe('online');
    const found = await traveller.links({ server });
    expect(found).toMatchObject([
      { keyId: key.keyId, role: 'protector', vault: west.name, standbyOf: null, latch: null, failoverFrom: null, protectorTo: null },
      { keyId: copy.keyId, role: 'standby', vault: north.name, standbyOf: key.keyId, latch: null, thumbprint: key.thumbprint },
    ]);
    for (const { provenAt } of found) expect(provenAt).not.toBeNull();
    // The same again is 200 and calls nothing.
    await traveller.clearCalls(west, north);
    expect((await protect(traveller, server, key.keyId, [copy.keyId])).status).toBe(200);
    expect(await traveller.calls(west)).toEqual([]);
  });
});

describe('registered once', () => {
  it('a vault reads back as registered; the same again is 200, anything else 409', async (context) => {
    const traveller = journeys.begin(context);
    const { name, uri } = await traveller.control<OwnVault>('POST /vaults', {
      name: `kv-${randomUUID().slice(0, 8)}x`,
      region: 'westeurope',
    });
    const body = { uri: `${uri}/`, region: 'westeurope', geography: 'Europe', subscriptionId: randomUUID() };
    const first = await traveller.as<VaultBody>('Operator', `PUT /v1/vaults/${name}`, body);
    expect(first.status).toBe(201);
    const told = { name, kind: 'vault', ...body, uri, association: { used: 0, limit: 1000 }, circuit: { state: 'closed' } };
    expect(first.body).toMatchObject(told);
    expect((await traveller.as('Auditor', `GET /v1/vaults/${name}`, undefined, { instance: 1 })).body).toMatchObject(told);
    expect((await traveller.as('Operator', `PUT /v1/vaults/${name}`, body)).status).toBe(200);
    for (const other of [{ region: 'northeurope' }, { geography: 'Asia' }, { subscriptionId: randomUUID() }, { kind: 'managedHsm' }]) {
      const answer = await traveller.as('Operator', `PUT /v1/vaults/${name}`, { ...body, ...other });
      expect(answer, JSON.stringify(other)).toMatchObject({ status: 409, body: { code: 'Conflict' } });
    }
    expect((await traveller.as('Auditor', `GET /v1/vaults/${name}`)).body).toMatchObject(told);
  });

  it('a server: principal, identity and default tier may change, all else is 409', async (context) => {
    const traveller = journeys.begin(context);
    const principalId = randomUUID();
    const server = await newServer(traveller, { principalId });
    const body = { engine: 'sql', region: 'westeurope', principalId };
    const told = {
      name: server,
      ...body,
      identityClientId: null,
      defaultTier: 'GeneralPurpose',
      origin: null,
      state: 'pendingValidation',
      clock: null,
      databases: { GeneralPurpose: 0, BusinessCritical: 0 },
    };
    expect(await traveller.server({ server })).toMatchObject(told);
    expect((await traveller.as('Operator', `PUT /v1/servers/${server}`, body)).status).toBe(200);
    for (const other of [{ engine: 'mysql' }, { region: 'northeurope' }, { origin: 'restore' }]) {
      expect(await traveller.as('Operator', `PUT /v1/servers/${server}`, { ...body, ...other })).toMatchObject({
        status: 409,
        body: { code: 'Conflict' },
      });
    }
    const change = { principalId: randomUUID(), identityClientId: randomUUID(), defaultTier: 'BusinessCritical' };
    expect((await traveller.as('Operator', `PUT /v1/servers/${server}`, { ...body, ...change })).status).toBe(200);
    expect(await traveller.server({ server })).toMatchObject({ ...told, ...change });
  });

  it('databases: registered, counted, changed, removed; removed with their server', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const path = `/v1/servers/${fleet.server}/databases`;
    expect((await traveller.as('Operator', `PUT ${path}/ledger`, { tier: 'BusinessCritical' })).status).toBe(201);
    expect((await traveller.as('Operator', `PUT ${path}/ledger`, { tier: 'BusinessCritical' })).status).toBe(200);
    expect((await traveller.asHost(fleet.server, `PUT ${path}/own`, {})).status).toBe(201);
    expect((await traveller.as('Auditor', `GET ${path}/ledger`)).body).toEqual({ name: 'ledger', tier: 'BusinessCritical' });
    expect((await traveller.server(fleet)).databases).toEqual({ GeneralPurpose: 2, BusinessCritical: 1 });
    expect((await traveller.as('Operator', `DELETE ${path}/own`)).status).toBe(204);
    expect((await traveller.as('Auditor', `GET ${path}/own`)).status).toBe(404);
    expect((await traveller.as('Operator', `DELETE /v1/servers/${fleet.server}`)).status).toBe(204);
    for (const gone of [fleet.server, `${fleet.server}/keys`, `${fleet.server}/databases/ledger`]) {
      expect((await traveller.as('Auditor', `GET /v1/servers/${gone}`)).status).toBe(404);
    }
    for (const { name } of [fleet.west, fleet.north]) {
      expect((await traveller.as<VaultBody>('Auditor', `GET /v1/vaults/${name}`)).body.association.used).toBe(0);
    }
  });

  it('additional keys: linked, used to unwrap only, dropped with a confirmation, the protector never', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const former = await traveller.fleet({ vaults: fleet });
    const { dek, wrappedDek } = await traveller.wrapped(former);
    const path = `/v1/servers/${fleet.server}/keys`;
    const body = { keyId: former.keyId, standbyKeyIds: [former.standbyKeyId], from: '2025-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z' };
    expect((await traveller.as('Operator', `POST ${path}`, body)).status).toBe(201);
    expect((await traveller.as('Operator', `POST ${path}`, body)).status).toBe(200);
    expect((await traveller.unwrap(fleet, wrappedDek, { thumbprint: former.thumbprint })).body).toMatchObject({ dek, keyId: former.keyId });
    expect((await traveller.wrap(fleet)).body.keyId).toBe(fleet.keyId);

    const unconfirmed = await traveller.as('Operator', `DELETE ${path}/${former.thumbprint}`);
    expect(unconfirmed).toMatchObject({ status: 409, body: { code: 'Conflict', findings: [{ code: 'BackupUnconfirmed' }] } });
    expect((await traveller.as('Operator', `DELETE ${path}/${fleet.thumbprint}?confirm=backupsGone`)).status).toBe(409);
    expect((await traveller.as('Operator', `DELETE ${path}/${former.thumbprint}?confirm=backupsGone`)).status).toBe(204);
    expect((await traveller.unwrap(fleet, wrappedDek, { thumbprint: former.thumbprint })).status).toBe(404);
  });

  it('C2, K4: an expired key can be linked as an additional key, and unwraps', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    const former = await traveller.fleet({ vaults: fleet });
    const { dek, wrappedDek } = await traveller.wrapped(former);
    await patchKey(traveller, former.west, former, { expires: anHourAgo() });
    expect((await traveller.as('Operator', `POST /v1/servers/${fleet.server}/keys`, { keyId: former.keyId })).status).toBe(201);
    expect((await traveller.unwrap(fleet, wrappedDek, { thumbprint: former.thumbprint })).body.dek).toBe(dek);
  });

  it('what one instance registered is served by the other at once', async (context) => {
    const traveller = journeys.begin(context);
    const fleet = await traveller.fleet();
    expect((await traveller.wrap(fleet, { instance: 1 })).status).toBe(200);
    const newer = await createKey(traveller, fleet.west, { name: 'newer' });
    expect((await protect(traveller, fleet.server, newer.keyId)).status).toBe(200);
    const { body } = await traveller.wrap(fleet);
    expect(body.thumbprint).toBe(newer.thumbprint);
    // Section 6: a refusal is decided on a fresh read, so a copy that is a moment old does not turn the new key away.
    const unwrapped = await traveller.unwrap(fleet, body.wrappedDek ?? '', { instance: 1, thumbprint: newer.thumbprint });
    expect(unwrapped).toMatchObject({ status: 200, body: { keyId: newer.keyId } });
  });
});
