import { beforeAll, describe, expect, it } from 'vitest';
import { randomDek, useJourneys } from '../support/journeys.ts';
import type { Body, Fleet, Traveller } from '../support/journeys.ts';
import type { Answer } from '../support/environment.ts';

/* Bad input gets a 4xx problem that names the field; nothing is stored, nothing is called at a vault. */
const journeys = useJourneys();
let fleet: Fleet;
let wrappedDek = '';
beforeAll(async () => {
  const traveller = journeys.begin({ onTestFailed: () => undefined });
  fleet = await traveller.fleet();
  ({ wrappedDek } = await traveller.wrapped(fleet));
});

type Who = 'host' | 'operator';

interface Case {
  readonly name: string;
  readonly who: Who;
  readonly call: () => string;
  readonly body?: () => unknown;
  /** Sent as it is, in place of `body`. */
  readonly raw?: () => { readonly text: string | Buffer; readonly headers?: Record<string, string> };
  readonly status?: number;
  readonly code?: string;
  /** Begins with this field; undefined: the problem is about no field of the request. */
  readonly field?: string;
}

const database = (name = 'orders') => `/v1/servers/${fleet.server}/databases/${name}`;
const wrap = () => `POST ${database()}/wrap`;
const unwrap = () => `POST ${database()}/unwrap`;
const guid = '11111111-2222-4333-8444-555555555555';
const vaultBody = () => ({ uri: fleet.west.uri, region: 'westeurope', geography: 'Europe', subscriptionId: guid });
const serverBody = { engine: 'sql', region: 'westeurope', principalId: guid };

const bodies: readonly Case[] = [
  { name: 'not JSON', who: 'host', call: wrap, raw: () => ({ text: '{"dek":' }), field: 'body' },
  { name: 'no UTF-8', who: 'host', call: wrap, raw: () => ({ text: Buffer.from([0x22, 0xff, 0xfe, 0x22]) }), field: 'body' },
  { name: 'no body', who: 'host', call: wrap, field: 'body' },
  { name: 'JSON null', who: 'host', call: wrap, body: () => null, field: 'body' },
  { name: 'a list', who: 'host', call: wrap, body: () => [], field: 'body' },
  { name: 'text', who: 'host', call: wrap, body: () => 'dek', field: 'body' },
  {
    name: 'another content type',
    who: 'host',
    call: wrap,
    raw: () => ({ text: '{}', headers: { 'content-type': 'text/plain' } }),
    field: 'content-type',
  },
  { name: 'an unknown field', who: 'host', call: wrap, body: () => ({ dek: randomDek(), algoritm: 'RSA-OAEP' }), field: 'algoritm' },
  { name: '64 KiB + 1', who: 'host', call: wrap, raw: () => ({ text: ' '.repeat(64 * 1024 + 1) }), status: 413, code: 'PayloadTooLarge' },
  { name: '64 KiB of spaces', who: 'host', call: wrap, raw: () => ({ text: ' '.repeat(64 * 1024) }), field: 'body' },
];

const deks: readonly Case[] = [
  { name: 'missing', body: {} },
  { name: 'a number', body: { dek: 7 } },
  { name: 'empty', body: { dek: '' } },
  { name: 'of 15 bytes', body: { dek: Buffer.alloc(15, 1).toString('base64url') } },
  { name: 'of 65 bytes', body: { dek: Buffer.alloc(65, 1).toString('base64url') } },
  { name: 'with padding', body: { dek: Buffer.alloc(32, 1).toString('base64') } },
  { name: 'in plain base64', body: { dek: Buffer.alloc(33, 255).toString('base64') } },
  { name: 'with foreign letters', body: { dek: `${randomDek().slice(0, -2)}ä!` } },
  { name: 'with a line break', body: { dek: `${randomDek().slice(0, -1)}\n` } },
  { name: 'with spare bits that are not zero', body: { dek: `${Buffer.alloc(32, 1).toString('base64url').slice(0, -1)}F` } },
].map(({ name, body }) => ({ name: `a DEK ${name}`, who: 'host' as const, call: wrap, body: () => body, field: 'dek' }));

const operations: readonly Case[] = [
  { name: 'RSA1_5 to wrap', who: 'host', call: wrap, body: () => ({ dek: randomDek(), algorithm: 'RSA1_5' }), field: 'algorithm' },
  {
    name: 'an unknown algorithm',
    who: 'host',
    call: unwrap,
    body: () => ({ wrappedDek, thumbprint: fleet.thumbprint, algorithm: 'A256KW' }),
    field: 'algorithm',
  },
  { name: 'no thumbprint', who: 'host', call: unwrap, body: () => ({ wrappedDek }), field: 'thumbprint' },
  {
    name: 'a thumbprint of 42 letters',
    who: 'host',
    call: unwrap,
    body: () => ({ wrappedDek, thumbprint: 'A'.repeat(42) }),
    field: 'thumbprint',
  },
  {
    name: 'an empty ciphertext',
    who: 'host',
    call: unwrap,
    body: () => ({ wrappedDek: '', thumbprint: fleet.thumbprint }),
    field: 'wrappedDek',
  },
  {
    name: 'a ciphertext of 1025 bytes',
    who: 'host',
    call: unwrap,
    body: () => ({ wrappedDek: Buffer.alloc(1025).toString('base64url'), thumbprint: fleet.thumbprint }),
    field: 'wrappedDek',
  },
  {
    name: 'a ciphertext with padding',
    who: 'host',
    call: unwrap,
    body: () => ({ wrappedDek: `${wrappedDek}==`, thumbprint: fleet.thumbprint }),
    field: 'wrappedDek',
  },
  {
    name: 'a thumbprint without a link',
    who: 'host',
    call: unwrap,
    body: () => ({ wrappedDek, thumbprint: 'A'.repeat(43) }),
    status: 404,
    code: 'NotFound',
  },
  {
    name: 'a database that is not there',
    who: 'host',
    call: () => `POST ${database('none')}/wrap`,
    body: () => ({ dek: randomDek() }),
    status: 404,
    code: 'NotFound',
  },
];

const ids: readonly Case[] = [
  { name: 'an encoded slash', text: 'a%2Fb' },
  { name: 'a control character', text: 'a%07b' },
  { name: 'a unicode look-alike', text: 's%D1%81l' },
  { name: 'a full-width letter', text: '%EF%BD%81' },
  { name: '1,000 letters', text: 'a'.repeat(1000) },
  { name: 'a leading hyphen', text: '-a' },
  { name: 'a space', text: 'a%20b' },
  { name: 'a quote', text: 'a%27b' },
].flatMap(({ name, text }): Case[] => [
  { name: `a server named with ${name}`, who: 'operator', call: () => `PUT /v1/servers/${text}`, body: () => serverBody, field: 'server' },
  { name: `a vault named with ${name}`, who: 'operator', call: () => `PUT /v1/vaults/${text}`, body: vaultBody, field: 'vault' },
  { name: `a database named with ${name}`, who: 'operator', call: () => `PUT ${database(text)}`, body: () => ({}), field: 'database' },
]);

const uris: readonly Case[] = [
  'https://evil.example',
  'https://kv.vault.azure.net.evil.example',
  'https://evil.example#.vault.localhost',
  'https://user@kv.vault.localhost:1',
  'https://kv.vault.localhost:1/path',
  'https://kv.vault.localhost:1?x=1',
  'https://a.b.vault.localhost:1',
  'https://.vault.localhost:1',
  'https://vault.localhost:1',
  'https://кv.vault.localhost:1',
  'https://kv%2evault.localhost:1',
  'https:\\\\kv.vault.localhost:1',
  'https://127.0.0.1:1',
  'ftp://kv.vault.localhost:1',
  'http://kv.vault.localhost:1',
  'kv.vault.localhost',
  '',
].map((uri) => ({
  name: `a vault URI ${uri || '(empty)'}`,
  who: 'operator' as const,
  call: () => 'PUT /v1/vaults/bad',
  body: () => ({ ...vaultBody(), uri }),
  field: 'uri',
}));

const keyIds: readonly Case[] = [
  { name: 'with user info', spoil: (id: string) => id.replace('https://', 'https://user@') },
  { name: 'with a query', spoil: (id: string) => `${id}?api-version=7.4` },
  { name: 'with a fragment', spoil: (id: string) => `${id}#x` },
  { name: 'without a version', spoil: (id: string) => id.replace(/\/[^/]+$/, '') },
  { name: 'over http', spoil: (id: string) => id.replace('https', 'http') },
  { name: 'of another host', spoil: () => 'https://evil.example/keys/a/0123456789abcdef0123456789abcdef' },
  {
    name: 'of a host with the suffix inside',
    spoil: () => 'https://kv.vault.localhost.evil.example/keys/a/0123456789abcdef0123456789abcdef',
  },
  { name: 'of a secret', spoil: (id: string) => id.replace('/keys/', '/secrets/') },
  { name: 'with a dot segment', spoil: (id: string) => id.replace('/keys/', '/x/../keys/') },
].flatMap(({ name, spoil }): Case[] => [
  {
    name: `a key id ${name}`,
    who: 'operator',
    call: () => `PUT /v1/servers/${fleet.server}/protector`,
    body: () => ({ keyId: spoil(fleet.keyId) }),
    field: 'keyId',
  },
  {
    name: `a standby key id ${name}`,
    who: 'operator',
    call: () => `PUT /v1/servers/${fleet.server}/protector`,
    body: () => ({ keyId: fleet.keyId, standbyKeyIds: [spoil(fleet.standbyKeyId)] }),
    field: 'standbyKeyIds',
  },
  {
    name: `an additional key id ${name}`,
    who: 'operator',
    call: () => `POST /v1/servers/${fleet.server}/keys`,
    body: () => ({ keyId: spoil(fleet.keyId) }),
    field: 'keyId',
  },
]);

const registrations: readonly Case[] = [
  {
    name: 'a server without an engine',
    who: 'operator',
    call: () => 'PUT /v1/servers/bad',
    body: () => ({ region: 'westeurope', principalId: guid }),
    field: 'engine',
  },
  {
    name: 'an unknown engine',
    who: 'operator',
    call: () => 'PUT /v1/servers/bad',
    body: () => ({ ...serverBody, engine: 'oracle' }),
    field: 'engine',
  },
  {
    name: 'a principal that is no GUID',
    who: 'operator',
    call: () => 'PUT /v1/servers/bad',
    body: () => ({ ...serverBody, principalId: 'me' }),
    field: 'principalId',
  },
  {
    name: 'an unknown origin',
    who: 'operator',
    call: () => 'PUT /v1/servers/bad',
    body: () => ({ ...serverBody, origin: 'copy' }),
    field: 'origin',
  },
  { name: 'an unknown tier', who: 'operator', call: () => `PUT ${database('bad')}`, body: () => ({ tier: 'Hyperscale' }), field: 'tier' },
  {
    name: 'a subscription that is no GUID',
    who: 'operator',
    call: () => 'PUT /v1/vaults/bad',
    body: () => ({ ...vaultBody(), subscriptionId: 'x' }),
    field: 'subscriptionId',
  },
  {
    name: 'an unknown kind of vault',
    who: 'operator',
    call: () => 'PUT /v1/vaults/bad',
    body: () => ({ ...vaultBody(), kind: 'hsm' }),
    field: 'kind',
  },
  {
    name: 'a vault URI under a second name',
    who: 'operator',
    call: () => 'PUT /v1/vaults/bad',
    body: vaultBody,
    status: 409,
    code: 'Conflict',
  },
  {
    name: 'a vault URI under a second name, in capitals',
    who: 'operator',
    call: () => 'PUT /v1/vaults/bad',
    body: () => ({ ...vaultBody(), uri: `${fleet.west.uri.toUpperCase()}/`.replace('HTTPS', 'https') }),
    status: 409,
    code: 'Conflict',
  },
  {
    name: 'a span that ends before it begins',
    who: 'operator',
    call: () => `POST /v1/servers/${fleet.server}/keys`,
    body: () => ({ keyId: fleet.keyId, from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' }),
    field: 'to',
  },
  {
    name: 'a day that no calendar has',
    who: 'operator',
    call: () => `POST /v1/servers/${fleet.server}/keys`,
    body: () => ({ keyId: fleet.keyId, from: '2026-13-41T00:00:00Z' }),
    field: 'from',
  },
  { name: 'an unknown query parameter', who: 'operator', call: () => 'GET /v1/events?subjekt=x', field: 'subjekt' },
  { name: 'a limit of 0', who: 'operator', call: () => 'GET /v1/vaults?limit=0', field: 'limit' },
  { name: 'a limit of 1001', who: 'operator', call: () => 'GET /v1/operations?limit=1001', field: 'limit' },
  { name: 'a since that is no time', who: 'operator', call: () => 'GET /v1/events?since=yesterday', field: 'since' },
  {
    name: 'a wrong word to drop a key',
    who: 'operator',
    call: () => `DELETE /v1/servers/${fleet.server}/keys/${fleet.thumbprint}?confirm=yes`,
    field: 'confirm',
  },
  { name: 'a server that is not there', who: 'operator', call: () => 'GET /v1/servers/none', status: 404, code: 'NotFound' },
  { name: 'a vault that is not there', who: 'operator', call: () => 'GET /v1/vaults/none', status: 404, code: 'NotFound' },
  {
    name: 'a database of a server that is not there',
    who: 'operator',
    call: () => 'PUT /v1/servers/none/databases/a',
    body: () => ({}),
    status: 404,
    code: 'NotFound',
  },
  {
    name: 'revalidate of a server that is not there',
    who: 'operator',
    call: () => 'POST /v1/servers/none/revalidate',
    status: 404,
    code: 'NotFound',
  },
];

async function send(traveller: Traveller, { who, call, body, raw }: Case): Promise<Answer<Body>> {
  const wish = who === 'host' ? { server: fleet.server } : { roles: ['KeyBroker.Operator'] };
  const { token } = await traveller.control<{ token: string }>('POST /tokens', wish);
  if (!raw) return traveller.call(call(), { token, ...(body && { body: body() }) });
  const { text, headers = { 'content-type': 'application/json' } } = raw();
  const [method = '', path = ''] = call().split(' ');
  const url = `${journeys.environment.brokers.list()[0]?.url ?? ''}${path}`;
  const response = await fetch(url, {
    method,
    headers: { ...headers, authorization: `Bearer ${token}` },
    body: new Uint8Array(Buffer.from(text)),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
}

/** Everything that can be read of what is registered. */
async function registered(traveller: Traveller): Promise<unknown> {
  const vaults = (await traveller.as<{ items: { name: string; uri: string; association: unknown }[] }>('Auditor', 'GET /v1/vaults')).body
    .items;
  const bad = await traveller.as('Auditor', 'GET /v1/servers/bad');
  return {
    vaults: vaults.map(({ name, uri, association }) => ({ name, uri, association })),
    server: await traveller.server(fleet),
    keys: (await traveller.links(fleet)).map(({ keyId, role, latch }) => ({ keyId, role, latch })),
    bad: bad.status,
  };
}

describe.for([
  { about: 'bodies', cases: bodies },
  { about: 'DEKs', cases: deks },
  { about: 'operations', cases: operations },
  { about: 'ids in paths', cases: ids },
  { about: 'vault URIs (K1)', cases: uris },
  { about: 'key ids', cases: keyIds },
  { about: 'registrations and queries', cases: registrations },
])('$about', ({ cases }) => {
  it('each gets its 4xx problem that names the field; nothing is stored, no vault is called', async (context) => {
    const traveller = journeys.begin(context);
    const before = await registered(traveller);
    await traveller.clearCalls(fleet.west, fleet.north);
    for (const one of cases) {
      const { status = 400, code = 'InvalidRequest', field } = one;
      const answer = await send(traveller, one);
      expect({ status: answer.status, code: answer.body.code }, one.name).toEqual({ status, code });
      expect(answer.headers.get('content-type'), one.name).toMatch(/^application\/problem\+json/);
      expect(answer.body.requestId, one.name).toBe(answer.headers.get('x-ms-client-request-id') ?? answer.body.requestId);
      if (field === undefined) continue;
      expect(answer.body.detail, one.name).toMatch(new RegExp(`^${field.replace('[', '\\[')}(\\[0\\])?: `));
      expect(
        answer.body.errors?.map((error) => error.field.replace('[0]', '')),
        one.name,
      ).toContain(field);
    }
    expect(await registered(traveller)).toEqual(before);
    expect(await traveller.calls(fleet.west)).toEqual([]);
    expect(await traveller.calls(fleet.north)).toEqual([]);
  });
});

describe('a ciphertext that the key does not unwrap', () => {
  it('is CiphertextRejected: one call to the vault, no retry, no latch, no failover', async (context) => {
    const traveller = journeys.begin(context);
    const spoilt = Buffer.from(wrappedDek, 'base64url');
    spoilt[100] = (spoilt[100] ?? 0) ^ 1;
    const ciphertexts = [
      { name: 'of the wrong length', text: Buffer.alloc(100, 1).toString('base64url') },
      { name: 'of another key size', text: Buffer.alloc(384, 1).toString('base64url') },
      { name: 'with a bit changed', text: spoilt.toString('base64url') },
      { name: 'under another key', text: (await traveller.wrapped(await traveller.fleet())).wrappedDek },
    ];
    for (const { name, text } of ciphertexts) {
      await traveller.clearCalls(fleet.west, fleet.north);
      expect(await traveller.unwrap(fleet, text), name).toMatchObject({ status: 422, body: { code: 'CiphertextRejected' } });
      expect((await traveller.calls(fleet.west)).length, name).toBeLessThanOrEqual(1);
      expect(await traveller.calls(fleet.north)).toEqual([]);
    }
    expect((await traveller.protector(fleet)).latch).toBeNull();
    expect((await traveller.unwrap(fleet, wrappedDek)).status).toBe(200);
  });
});

describe('what the Functions host refuses itself', () => {
  it('NUL in a path is a 4xx, and nothing is stored', async (context) => {
    const traveller = journeys.begin(context);
    const { status } = await traveller.as('Operator', 'PUT /v1/servers/a%00', serverBody);
    expect([400, 404]).toContain(status);
    expect((await traveller.as('Auditor', 'GET /v1/servers/a')).status).toBe(404);
  });
});

describe('a wrong method', () => {
  it.for(['GET', 'DELETE', 'PATCH', 'PUT'])('%s on wrap is no 2xx and no 500, and the vault is not called', async (method, context) => {
    const traveller = journeys.begin(context);
    await traveller.clearCalls(fleet.west);
    const refused = await traveller.asHost(fleet.server, `${method} ${database()}/wrap`);
    expect(refused).toMatchObject({ status: 404, body: { code: 'NotFound', detail: 'this path has no such method: it has POST' } });
    expect(await traveller.calls(fleet.west)).toEqual([]);
  });
});

describe('an unknown path', () => {
  it.for([
    ['GET', 'v1/servers/a/nothing'],
    ['GET', 'v1'],
    ['GET', 'v1/vaults//'],
    ['POST', 'v1/wrap'],
    ['OPTIONS', 'v1/unknown'],
  ] as const)('%s /%s gets a problem, also without a token and whatever its body is', async ([method, path], context) => {
    const traveller = journeys.begin(context);
    const body = method === 'POST' ? { dek: 'x'.repeat(100_000) } : undefined;
    const answer = await traveller.call(`${method} /${path}`, { body });
    expect(answer).toMatchObject({ status: 404, body: { code: 'NotFound', title: 'Not found' } });
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  it("takes nothing from the routes, from health and from what is the host's own", async (context) => {
    const traveller = journeys.begin(context);
    for (const path of ['healthz', 'readyz', 'openapi.json', 'admin/host/ping', 'admin/host/status'])
      expect((await traveller.call(`GET /${path}`)).status, path).toBe(200);
    expect((await traveller.as('Auditor', 'GET /v1/vaults/')).status).toBe(200);
    expect((await traveller.call('GET /v1/vaults')).status).toBe(401);
    expect(await traveller.call('GET /admin/host/unknown')).toMatchObject({ status: 404, body: '' });
  });
});
