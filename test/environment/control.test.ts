import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { request, useEnvironment } from '../support/environment.ts';
import { buildFixture } from '../support/functions-host.ts';

const directory = await buildFixture({
  entry: join(import.meta.dirname, 'fixtures/broker.ts'),
  hostJson: { version: '2.0', extensions: { http: { routePrefix: '' } } },
});
const journey = useEnvironment({ directory, seed: false, instances: 2, settings: { EXTRA: 'yes' } });
const { control, broker, token } = journey;
afterEach(() => control('POST /reset'));
afterAll(() => rmSync(directory, { recursive: true }));

interface Overview {
  readonly broker: string;
  readonly brokers: { instance: number; url: string; pid: number }[];
  readonly vaults: { name: string; uri: string }[];
  readonly identities: { clientId: string; principalId: string }[];
  readonly [field: string]: unknown;
}
const overview = () => control<Overview>('GET /');
const west = async () => (await overview()).vaults[0]?.uri ?? '';
const raw = (call: string, body?: unknown) => request<{ error: string }>(journey.environment.control, call, { body });
const calls = async () => (await control<{ items: { operation: string; status: number }[] }>('GET /vaults/kv-west/calls')).items;

describe('GET /', () => {
  it('tells everything that a client needs', async () => {
    const told = await overview();
    expect(told).toMatchObject({
      broker: told.brokers[0]?.url,
      vaults: [
        {
          name: 'kv-west',
          region: 'westeurope',
          geography: 'Europe',
          uri: expect.stringMatching(/^https:\/\/kv-west\.vault\.localhost:\d+$/) as string,
        },
        { name: 'kv-north', region: 'northeurope', geography: 'Europe' },
      ],
      servers: [],
      issuer: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/.+\/v2\.0$/) as string,
      dns: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      tables: expect.stringContaining('TableEndpoint=') as string,
    });
    expect(told.brokers.map(({ instance }) => instance)).toEqual([0, 1]);
    expect(await readFile(String(told['ca']), 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----/);
  });
});

describe('a broker', () => {
  it('is given what Azure would give, and extra settings, but nothing of the surrounding shell', async () => {
    const { body } = await broker<Record<string, string>>('GET /environment');
    expect(body).toMatchObject({ FUNCTIONS_WORKER_RUNTIME: 'node', EXTRA: 'yes', KEYBROKER_ISSUER: (await overview())['issuer'] });
    expect(body).not.toHaveProperty('VITEST');
  });

  it('reaches its vaults by the ordinary SDK: name, certificate, challenge, managed identity', async () => {
    const { keyId } = await control<{ keyId: string }>('POST /vaults/kv-west/keys', { name: 'reached' });
    expect((await broker(`GET /key/reached?vault=${await west()}`)).body).toEqual({ keyId });
    expect((await calls()).map(({ operation }) => operation)).toEqual(['challenge', 'get']);
  });

  it.each([
    ['nxdomain', 'ENOTFOUND'],
    ['servfail', 'EAI_AGAIN'],
  ])('sees the name fault %s as the C library would report it: %s', async (answer, error) => {
    const host = new URL(await west()).hostname;
    expect((await broker(`GET /lookup/${host}`)).body).toEqual({ addresses: [{ address: '127.0.0.1', family: 4 }] });
    await control('PUT /vaults/kv-west/fault', { fault: 'dns', answer });
    expect((await broker(`GET /lookup/${host}`)).body).toEqual({ error });
    await control('DELETE /vaults/kv-west/fault');
    expect((await broker(`GET /lookup/${host}`)).body).not.toHaveProperty('error');
  });

  it('looks up other names as ever', async () => {
    expect((await broker('GET /lookup/127.0.0.1')).body).toEqual({ addresses: [{ address: '127.0.0.1', family: 4 }] });
  });
});

describe('vaults and keys', () => {
  it('adds a vault that is reached by its name', async () => {
    const { name, uri } = await control<{ name: string; uri: string }>('POST /vaults', {
      name: 'kv-extra',
      region: 'francecentral',
      kind: 'managedHsm',
    });
    expect(name).toBe('kv-extra');
    expect(uri).toMatch(/^https:\/\/kv-extra\.managedhsm\.localhost:\d+$/);
    expect((await overview()).vaults.map((vault) => vault.name)).toContain('kv-extra');
  });

  it('copies, changes, deletes and recovers keys', async () => {
    const made = await control<{ keyId: string; thumbprint: string }>('POST /vaults/kv-west/keys', {
      name: 'moved',
      size: 2048,
      hsm: true,
      keyOps: ['wrapKey'],
    });
    const copy = await control<{ keyId: string; thumbprint: string }>('POST /vaults/kv-west/keys/moved/copy', { to: 'kv-north' });
    expect(copy.thumbprint).toBe(made.thumbprint);
    expect(copy.keyId).toContain('kv-north');
    const version = made.keyId.split('/').at(-1) ?? '';
    await control(`PATCH /vaults/kv-west/keys/moved/${version}`, { enabled: false, expires: '2030-01-01T00:00:00Z', notBefore: null });
    await control('DELETE /vaults/kv-west/keys/moved');
    expect((await raw('DELETE /vaults/kv-west/keys/moved')).status).toBe(404);
    await control('POST /vaults/kv-west/keys/moved/recover');
  });

  it('takes access away and gives it back at a reset', async () => {
    await control('POST /vaults/kv-west/keys', { name: 'guarded' });
    const read = async () => (await broker<{ error?: string }>(`GET /key/guarded?vault=${await west()}`)).body.error;
    const principal = (await overview()).identities[0]?.principalId;
    await control('PUT /vaults/kv-west/access', { principal, allow: ['unwrapKey'] });
    expect(await read()).toBe('Forbidden');
    await control('POST /reset');
    expect(await read()).toBeUndefined();
  });

  it('deletes a vault, whose name is gone then, and recovers it', async () => {
    await control('POST /vaults/kv-west/keys', { name: 'gone' });
    const read = async () => (await broker<{ error?: string }>(`GET /key/gone?vault=${await west()}`)).body.error;
    await control('DELETE /vaults/kv-west');
    expect(await read()).toBe('ENOTFOUND');
    await control('POST /vaults/kv-west/recover');
    expect(await read()).toBeUndefined();
  });

  it('forgets the recorded calls', async () => {
    await broker(`GET /key/unknown?vault=${await west()}`);
    expect(await calls()).not.toEqual([]);
    await control('DELETE /vaults/kv-west/calls');
    expect(await calls()).toEqual([]);
  });
});

describe('the control plane', () => {
  it('says of a vault whether it was deleted, to those who bring a token for it', async () => {
    const { body } = await broker<Record<string, string>>('GET /environment');
    const origin = body['KEYBROKER_CONTROL_PLANE_ENDPOINT'] ?? '';
    const query = new URLSearchParams({ 'api-version': '2019-08-01', resource: 'https://management.azure.com' }).toString();
    const answer = await fetch(`${body['IDENTITY_ENDPOINT'] ?? ''}?${query}`, {
      headers: { 'x-identity-header': body['IDENTITY_HEADER'] ?? '' },
    });
    const bearer = ((await answer.json()) as { access_token: string }).access_token;
    const ask = (path: string, own: string | undefined = bearer) => request(origin, `GET /subscriptions/s${path}`, { token: own });
    const deleted = '/providers/Microsoft.KeyVault/locations/northeurope/deletedVaults/kv-north';
    const existing = '/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv-north';

    expect((await ask(existing, 'wrong')).status).toBe(401);
    expect([(await ask(existing)).status, (await ask(deleted)).status]).toEqual([200, 404]);
    await control('DELETE /vaults/kv-north', { answers: '503' });
    expect((await ask(existing)).status).toBe(404);
    expect((await ask(deleted)).body).toMatchObject({ name: 'kv-north', properties: { deletionDate: expect.any(String) as string } });
    await control('POST /vaults/kv-north/recover');
    expect([(await ask(existing)).status, (await ask(deleted)).status]).toEqual([200, 404]);
  });
});

describe('identity and tables', () => {
  it('lets the identity endpoint fail', async () => {
    const [, second, third] = (await overview()).identities;
    await control('PUT /identity/fault', { fault: 'notFound' });
    expect((await broker(`GET /token/${second?.clientId ?? ''}`)).body).toEqual({ error: 'CredentialUnavailableError' });
    await control('DELETE /identity/fault');
    expect((await broker(`GET /token/${third?.clientId ?? ''}`)).body).toHaveProperty('expiresOnTimestamp');
  });

  it('takes the tables from one instance, or from all', async () => {
    const tables = async () => Promise.all([0, 1].map(async (instance) => (await broker('GET /tables', { instance })).body));
    expect(await tables()).toEqual([{}, {}]);
    await control('PUT /tables/fault', { fault: 'down', instance: 1 });
    expect(await tables()).toEqual([{}, { error: expect.any(String) as string }]);
    await control('PUT /tables/fault', { fault: 'down' });
    expect(await tables()).toEqual([{ error: expect.any(String) as string }, { error: expect.any(String) as string }]);
    await control('DELETE /tables/fault');
    expect(await tables()).toEqual([{}, {}]);
  });
});

describe('POST /tokens', () => {
  it('makes tokens for roles and for the host of a server that the broker knows', async () => {
    const { iss, aud, roles } = decodeJwt(await token({ roles: ['KeyBroker.Operator', 'KeyBroker.Auditor'] }));
    expect({ iss, aud, roles }).toEqual({
      iss: (await overview())['issuer'],
      aud: 'api://key-operations-broker',
      roles: ['KeyBroker.Operator', 'KeyBroker.Auditor'],
    });
    expect(decodeJwt(await token({ server: 'known' }))).toMatchObject({ oid: 'principal of known', roles: ['KeyBroker.Host'] });
  });

  it('makes expired tokens and tokens for others', async () => {
    const { token: made } = await control<{ token: string }>('POST /tokens', { roles: [], expiresIn: -60, audience: 'other' });
    const { exp = 0, aud } = decodeJwt(made);
    expect(exp * 1000).toBeLessThan(Date.now());
    expect(aud).toBe('other');
  });
});

it('POST /clock moves brokers, tokens and vaults together', async () => {
  const before = Date.now();
  const { now } = await control<{ now: string }>('POST /clock', { advance: 'P1DT2H' });
  const moved = before + 26 * 3_600_000;
  expect(Date.parse(now)).toBeGreaterThanOrEqual(moved);
  for (const instance of [0, 1]) {
    const { body } = await broker<{ dateNow: number; newDate: number; text: string; isDate: boolean }>('GET /now', { instance });
    expect(body.isDate).toBe(true);
    for (const at of [body.dateNow, body.newDate, Date.parse(body.text) + 1000]) expect(at).toBeGreaterThanOrEqual(moved);
  }
  expect((decodeJwt(await token({ roles: [] })).iat ?? 0) * 1000 + 1000).toBeGreaterThanOrEqual(moved);
  await broker(`GET /key/unknown?vault=${await west()}`);
  const [first] = (await control<{ items: { at: string }[] }>('GET /vaults/kv-west/calls')).items;
  expect(Date.parse(first?.at ?? '')).toBeGreaterThanOrEqual(moved);
  await control('POST /clock', { advance: '-P1DT2H' });
});

it('starts instances and kills them as kill -9 would', async () => {
  await control('POST /clock', { advance: 'PT1H' });
  const started = await control<{ instance: number; url: string; pid: number }>('POST /instances');
  expect((await request<{ dateNow: number }>(started.url, 'GET /now')).body.dateNow).toBeGreaterThan(Date.now() + 3_000_000);
  await control(`DELETE /instances/${String(started.instance)}`);
  expect(() => process.kill(started.pid, 0)).toThrow('ESRCH');
  expect((await overview()).brokers.map(({ instance }) => instance)).toEqual([0, 1]);
  expect((await raw(`DELETE /instances/${String(started.instance)}`)).status).toBe(404);
  expect(await control('POST /instances')).toMatchObject({ instance: started.instance });
  await control(`DELETE /instances/${String(started.instance)}`);
  await control('POST /clock', { advance: '-PT1H' });
});

describe('what is wrong with a call is said by the field', () => {
  it.each([
    ['PUT /vaults/nowhere/fault', { fault: 'hang' }, 404, 'name: there is no vault nowhere'],
    ['PUT /vaults/kv-west/fault', { fault: 'unknown' }, 400, 'fault:'],
    ['PUT /vaults/kv-west/fault', { fault: 'slow' }, 400, 'ms:'],
    ['PUT /vaults/kv-west/fault', { fault: 'hang', operation: ['get'] }, 400, 'operation: unknown'],
    ['PUT /vaults/kv-west/fault', { fault: 'hang', operations: ['unwrap'] }, 400, 'operations.0:'],
    ['PUT /vaults/kv-west/access', { principal: 'x' }, 400, 'allow:'],
    ['POST /vaults', { name: 'kv-new' }, 400, 'region:'],
    ['POST /vaults', { name: 'kv-west', region: 'r' }, 409, 'name: there is a vault kv-west already'],
    ['POST /vaults', { name: '1', region: 'r' }, 400, 'name:'],
    ['DELETE /vaults/kv-west', { answers: 'no' }, 400, 'answers:'],
    ['POST /vaults/kv-west/keys', { name: 'k', size: 1024 }, 400, 'size:'],
    ['POST /vaults/kv-west/keys', { name: 'k/1' }, 400, 'name:'],
    ['POST /vaults/kv-west/keys/none/copy', { to: 'kv-north' }, 404, 'KeyNotFound'],
    ['POST /vaults/kv-west/keys/none/copy', { to: 'nowhere' }, 404, 'to: there is no vault nowhere'],
    ['PATCH /vaults/kv-west/keys/none/1', { expires: 'tomorrow' }, 400, 'expires:'],
    ['PATCH /vaults/kv-west/keys/none/1', { enabled: true }, 404, 'KeyNotFound'],
    ['PUT /identity/fault', {}, 400, 'fault:'],
    ['PUT /tables/fault', { fault: 'down', instance: 9 }, 404, 'instance: no broker 9 runs'],
    ['DELETE /instances/first', undefined, 400, 'instance:'],
    ['POST /tokens', {}, 400, 'server: say either server or roles'],
    ['POST /tokens', { server: 's', roles: [] }, 400, 'server: say either server or roles'],
    ['POST /tokens', { roles: [], expiresIn: 'soon' }, 400, 'expiresIn:'],
    ['POST /clock', { advance: '10 minutes' }, 400, 'advance: is no ISO 8601 duration'],
    ['GET /nothing', undefined, 404, 'no such path'],
    ['PATCH /tokens', {}, 405, 'no PATCH here'],
  ])('%s %j', async (call, body, status, words) => {
    const answer = await raw(call, body);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toContain(words);
  });

  it('refuses a body that is no JSON object', async () => {
    for (const body of ['{', '[]', '1']) {
      const response = await fetch(`${journey.environment.control}/tokens`, { method: 'POST', body });
      expect(response.status).toBe(400);
    }
  });
});
