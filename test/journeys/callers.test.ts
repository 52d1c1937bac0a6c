import { createHmac, createPublicKey, createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { randomDek, useJourneys } from '../support/journeys.ts';
import type { Fleet, Traveller } from '../support/journeys.ts';

/* Who may do what, and which tokens are believed. */
const journeys = useJourneys();
let fleet: Fleet;
let other: Fleet;
beforeAll(async () => {
  const traveller = journeys.begin({ onTestFailed: () => undefined });
  fleet = await traveller.fleet();
  other = await traveller.fleet();
});

type Claims = Readonly<Record<string, unknown>>;
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A good token of the fleet's host, taken apart. */
async function goodToken(
  traveller: Traveller,
): Promise<{ readonly token: string; readonly header: Claims; readonly claims: Claims; readonly key: JsonWebKey }> {
  const { token } = await traveller.control<{ token: string }>('POST /tokens', { server: fleet.server });
  const [header = '', claims = ''] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  const { issuer } = await traveller.control<{ issuer: string }>('GET /');
  const metadata = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as { jwks_uri: string };
  const { keys } = (await (await fetch(metadata.jwks_uri)).json()) as { keys: JsonWebKey[] };
  const [key] = keys;
  if (!key) throw new Error('the issuer shows no key');
  return { token, header: JSON.parse(header) as Claims, claims: JSON.parse(claims) as Claims, key };
}

const foreignKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

function signed(header: Claims, claims: Claims, key: KeyObject = foreignKey): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${createSign('sha256').update(text).sign(key, 'base64url')}`;
}

const wrapCall = () => `POST /v1/servers/${fleet.server}/databases/orders/wrap`;

const forgeries: readonly { readonly name: string; readonly forge: (good: Awaited<ReturnType<typeof goodToken>>) => string | undefined }[] =
  [
    { name: 'no token', forge: () => undefined },
    { name: 'text that is no JWT', forge: () => 'abc' },
    { name: 'alg none, without signature', forge: ({ claims }) => `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.` },
    {
      name: 'alg none, with the old signature',
      forge: ({ token, claims }) => `${encode({ alg: 'none' })}.${encode(claims)}.${token.split('.')[2] ?? ''}`,
    },
    {
      name: 'HS256 signed with the public key',
      forge: ({ header, claims, key }) => {
        const text = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
        const secret = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
        return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
      },
    },
    { name: "a foreign key under the issuer's key id", forge: ({ header, claims }) => signed(header, claims) },
    { name: 'a foreign key under a key id of its own', forge: ({ header, claims }) => signed({ ...header, kid: randomUUID() }, claims) },
    {
      name: 'a key that the token itself brings',
      forge: ({ header, claims }) => signed({ ...header, jwk: createPublicKey(foreignKey).export({ format: 'jwk' }) }, claims),
    },
    {
      name: 'claims changed after signing',
      forge: ({ token, claims }) => {
        const [header = '', , signature = ''] = token.split('.');
        return `${header}.${encode({ ...claims, roles: ['KeyBroker.Host', 'KeyBroker.Operator'] })}.${signature}`;
      },
    },
    { name: 'a signature cut short', forge: ({ token }) => token.slice(0, -8) },
  ];

describe('a token that is not believed', () => {
  it.for(forgeries)('$name: Unauthenticated, and the vault is not called', async ({ forge }, context) => {
    const traveller = journeys.begin(context);
    await traveller.clearCalls(fleet.west);
    const token = forge(await goodToken(traveller));
    const answer = await traveller.call(wrapCall(), { body: { dek: randomDek() }, ...(token !== undefined && { token }) });
    expect(answer).toMatchObject({ status: 401, body: { code: 'Unauthenticated' } });
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    if (token !== undefined) expect(JSON.stringify(answer.body)).not.toContain(token);
    expect(await traveller.calls(fleet.west)).toEqual([]);
  });

  it.for([
    { name: 'expired', wish: { expiresIn: -3600 } },
    { name: 'for another audience', wish: { audience: 'https://vault.azure.net' } },
  ])('$name: Unauthenticated', async ({ wish }, context) => {
    const traveller = journeys.begin(context);
    const { token } = await traveller.control<{ token: string }>('POST /tokens', { server: fleet.server, ...wish });
    expect(await traveller.call(wrapCall(), { token, body: { dek: randomDek() } })).toMatchObject({
      status: 401,
      body: { code: 'Unauthenticated' },
    });
  });

  it('from the future: Unauthenticated until its time has come', async (context) => {
    const traveller = journeys.begin(context);
    const { token } = await traveller.control<{ token: string }>('POST /tokens', { server: fleet.server });
    await traveller.advance('-PT30M');
    expect((await traveller.call(wrapCall(), { token, body: { dek: randomDek() } })).status).toBe(401);
    await traveller.advance('PT30M');
    expect((await traveller.call(wrapCall(), { token, body: { dek: randomDek() } })).status).toBe(200);
  });

  it('that was believed before is not, once it has expired', async (context) => {
    const traveller = journeys.begin(context);
    const { token } = await traveller.control<{ token: string }>('POST /tokens', { server: fleet.server });
    expect((await traveller.call(wrapCall(), { token, body: { dek: randomDek() } })).status).toBe(200);
    await traveller.advance('PT1H5M');
    expect((await traveller.call(wrapCall(), { token, body: { dek: randomDek() } })).status).toBe(401);
  });
});

/** Every route of the contract with the roles that may use it; a host's own server is the fleet's. */
const database = (server: string) => `/v1/servers/${server}/databases/orders`;
const routes = (server: string): readonly { readonly call: string; readonly body?: object; readonly who: readonly string[] }[] => [
  { call: 'PUT /v1/vaults/some-vault', body: {}, who: ['Operator'] },
  { call: `GET /v1/vaults/${fleet.west.name}`, who: ['Operator', 'Auditor'] },
  { call: 'GET /v1/vaults', who: ['Operator', 'Auditor'] },
  { call: `PUT /v1/servers/${server}`, body: {}, who: ['Operator'] },
  { call: `PUT /v1/servers/${server}/protector`, body: {}, who: ['Operator'] },
  { call: `GET /v1/servers/${server}/keys`, who: ['Operator', 'Auditor'] },
  { call: `POST /v1/servers/${server}/keys`, body: {}, who: ['Operator'] },
  { call: `DELETE /v1/servers/${server}/keys/${'A'.repeat(43)}`, who: ['Operator'] },
  { call: `POST /v1/servers/${server}/revalidate`, who: ['Operator'] },
  { call: `PUT ${database(server)}`, body: {}, who: ['Operator', 'Host'] },
  { call: `POST ${database(server)}/wrap`, body: {}, who: ['Host'] },
  { call: `POST ${database(server)}/unwrap`, body: {}, who: ['Host'] },
  { call: `POST ${database(server)}/rewrap`, body: {}, who: ['Host'] },
  { call: 'GET /v1/events', who: ['Operator', 'Auditor'] },
  { call: 'GET /v1/operations', who: ['Operator', 'Auditor'] },
  { call: 'GET /healthz', who: ['Operator', 'Auditor', 'Host', 'nobody'] },
  { call: 'GET /readyz', who: ['Operator', 'Auditor', 'Host', 'nobody'] },
  { call: 'GET /openapi.json', who: ['Operator', 'Auditor', 'Host', 'nobody'] },
];

describe('roles', () => {
  it.for(['Operator', 'Auditor', 'Host', 'Other'])(
    '%s: is turned away from exactly the routes that are not for that role',
    async (role, context) => {
      const traveller = journeys.begin(context);
      for (const { call, body, who } of routes(fleet.server)) {
        const wish = role === 'Host' ? { server: fleet.server } : { roles: [role === 'Other' ? 'SomeOther.Role' : `KeyBroker.${role}`] };
        const { token } = await traveller.control<{ token: string }>('POST /tokens', wish);
        const { status, body: told } = await traveller.call(call, { token, body });
        const turnedAway = status === 403 && told.code === 'CallerNotAllowed';
        expect(turnedAway, `${role} ${call}: ${String(status)}`).toBe(!who.includes(role) && !who.includes('nobody'));
      }
    },
  );

  it('nobody is let in without a token but for health and the OpenAPI document', async (context) => {
    const traveller = journeys.begin(context);
    for (const { call, body, who } of routes(fleet.server)) {
      const { status } = await traveller.call(call, { body });
      expect(status, call).toBe(who.includes('nobody') ? 200 : 401);
    }
  });

  it('a host acts for its own server only, and nothing is called or stored for another', async (context) => {
    const traveller = journeys.begin(context);
    const { wrappedDek } = await traveller.wrapped(other);
    const before = await traveller.server(other);
    await traveller.clearCalls(other.west);
    const calls: readonly [string, object][] = [
      [`POST ${database(other.server)}/wrap`, { dek: randomDek() }],
      [`POST ${database(other.server)}/unwrap`, { wrappedDek, thumbprint: other.thumbprint }],
      [`POST ${database(other.server)}/rewrap`, { wrappedDek, thumbprint: other.thumbprint }],
      [`PUT ${database(other.server)}-2`, { tier: 'GeneralPurpose' }],
    ];
    for (const [call, body] of calls) {
      expect(await traveller.asHost(fleet.server, call, body), call).toMatchObject({ status: 403, body: { code: 'CallerNotAllowed' } });
    }
    expect(await traveller.calls(other.west)).toEqual([]);
    expect(await traveller.server(other)).toEqual(before);
  });

  it('an operator has no key operations, not even with the role of a host', async (context) => {
    const traveller = journeys.begin(context);
    const { token } = await traveller.control<{ token: string }>('POST /tokens', { roles: ['KeyBroker.Operator', 'KeyBroker.Host'] });
    expect(await traveller.call(wrapCall(), { token, body: { dek: randomDek() } })).toMatchObject({
      status: 403,
      body: { code: 'CallerNotAllowed' },
    });
  });

  it('a server whose principal was changed is its new host’s, at once', async (context) => {
    const traveller = journeys.begin(context);
    const own = await traveller.fleet();
    const { token: old } = await traveller.control<{ token: string }>('POST /tokens', { server: own.server });
    const call = `POST ${database(own.server)}/wrap`;
    expect((await traveller.call(call, { token: old, body: { dek: randomDek() } })).status).toBe(200);
    const change = { engine: 'sql', region: 'westeurope', principalId: randomUUID() };
    expect((await traveller.as('Operator', `PUT /v1/servers/${own.server}`, change)).status).toBe(200);
    const { token } = await traveller.control<{ token: string }>('POST /tokens', { server: own.server });
    expect((await traveller.call(call, { token, body: { dek: randomDek() } })).status).toBe(200);
    expect((await traveller.call(call, { token: old, body: { dek: randomDek() } })).status).toBe(403);
  });
});
