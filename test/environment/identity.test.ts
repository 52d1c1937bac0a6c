import { createLocalJWKSet, createRemoteJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClock } from '../local/clock.ts';
import { startIdentityEndpoint } from '../local/identity.ts';
import type { IdentityEndpoint } from '../local/identity.ts';
import { startIssuer } from '../local/issuer.ts';
import type { Issuer } from '../local/issuer.ts';

const tenant = '11111111-1111-4111-8111-111111111111';
const identities = [
  { clientId: 'aaaaaaaa-0000-4000-8000-000000000001', principalId: 'bbbbbbbb-0000-4000-8000-000000000001' },
  { clientId: 'aaaaaaaa-0000-4000-8000-000000000002', principalId: 'bbbbbbbb-0000-4000-8000-000000000002' },
];
const clock = createClock();
let issuer: Issuer;
let endpoint: IdentityEndpoint;
beforeAll(async () => {
  issuer = await startIssuer(tenant, clock);
  endpoint = await startIdentityEndpoint({ issuer, clock, identities });
});
afterEach(() => endpoint.setFault(undefined));
afterAll(async () => {
  await endpoint.close();
  await issuer.close();
});

async function discover(): Promise<{ issuer: string; jwks_uri: string }> {
  return (await (await fetch(`${issuer.issuer}/.well-known/openid-configuration`)).json()) as { issuer: string; jwks_uri: string };
}

describe('the issuer', () => {
  it('is found by its OpenID configuration, and its tokens verify against its key set', async () => {
    const configuration = await discover();
    expect(configuration.issuer).toBe(issuer.issuer);
    const token = issuer.sign({ iss: issuer.issuer, aud: 'api', oid: 'x' }, 60);
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(configuration.jwks_uri)), {
      issuer: issuer.issuer,
      audience: 'api',
    });
    expect(payload).toMatchObject({ oid: 'x', tid: tenant });
  });

  it('signs expired tokens on request, and by the moved clock', async () => {
    const keys = createRemoteJWKSet(new URL((await discover()).jwks_uri));
    await expect(jwtVerify(issuer.sign({}, -10), keys)).rejects.toThrow('"exp" claim');
    const claims = await issuer.verify(issuer.sign({ oid: 'o', aud: 'a' }, 60));
    clock.advance(3_600_000);
    const later = await issuer.verify(issuer.sign({ oid: 'o', aud: 'a' }, 60));
    clock.advance(-3_600_000);
    if (typeof claims === 'string' || typeof later === 'string') throw new Error('a token of the issuer does not verify');
    expect(later.expiresAt - claims.expiresAt).toBeGreaterThanOrEqual(3_600_000);
  });

  it('rotates its key: the former one stays in the set, the one before leaves', async () => {
    const keySet = async () => (await (await fetch((await discover()).jwks_uri)).json()) as JSONWebKeySet;
    const [first] = (await keySet()).keys;
    const token = issuer.sign({ oid: 'o', aud: 'a' }, 60);
    await issuer.rotate();
    await jwtVerify(token, createLocalJWKSet(await keySet()));
    await issuer.rotate();
    expect((await keySet()).keys.map(({ kid }) => kid)).not.toContain(first?.kid);
    expect(await issuer.verify(token)).toBe('unresolvedKey');
  });

  it.each([
    ['text', 'text'],
    ['no signature', 'e30.e30.'],
    ['no JSON', 'x.y.z'],
    ['algorithm none', `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`],
  ])('does not verify %s', async (_, token) => {
    expect(await issuer.verify(token)).toBe('invalid');
  });

  it('does not verify claims that were changed', async () => {
    const [header, , signature] = issuer.sign({ oid: 'o', aud: 'a' }, 60).split('.');
    const claims = Buffer.from(JSON.stringify({ oid: 'other', aud: 'a', tid: tenant, exp: 9e9 })).toString('base64url');
    expect(await issuer.verify(`${header ?? ''}.${claims}.${signature ?? ''}`)).toBe('invalid');
  });
});

describe('the managed-identity endpoint', () => {
  const ask = (query: Record<string, string>, header = endpoint.header) =>
    fetch(
      `${endpoint.url}?${new URLSearchParams({ 'api-version': '2019-08-01', resource: 'https://vault.localhost', ...query }).toString()}`,
      {
        headers: { 'x-identity-header': header },
      },
    );

  it.each([
    ['the first identity if none is named', {}, identities[0]],
    ['the identity that is named', { client_id: identities[1]?.clientId ?? '' }, identities[1]],
  ])('gives a token of %s', async (_, query, identity) => {
    const answer = (await (await ask(query)).json()) as Record<string, string>;
    expect(answer).toMatchObject({ token_type: 'Bearer', resource: 'https://vault.localhost', client_id: identity?.clientId });
    expect(await issuer.verify(answer['access_token'] ?? '')).toEqual({
      principal: identity?.principalId,
      appId: identity?.clientId,
      audience: 'https://vault.localhost',
      tenant,
      expiresAt: Number(answer['expires_on']) * 1000,
    });
  });

  it('says exactly what App Service says of an identity that is not assigned', async () => {
    const response = await ask({ client_id: 'aaaaaaaa-0000-4000-8000-00000000000f' });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      statusCode: 400,
      message: 'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId',
      correlationId: expect.any(String) as string,
    });
  });

  it('asks for its header, the version and a resource', async () => {
    expect((await ask({}, 'wrong')).status).toBe(401);
    expect((await ask({ 'api-version': '2017-09-01' })).status).toBe(400);
    expect((await ask({ resource: '' })).status).toBe(400);
  });

  it('can be down, can have lost its identities, can be slow', async () => {
    endpoint.setFault({ fault: 'down' });
    await expect(ask({})).rejects.toThrow();
    endpoint.setFault({ fault: 'notFound' });
    expect((await ask({})).status).toBe(400);
    endpoint.setFault({ fault: 'slow', ms: 600_000 });
    await expect(
      fetch(endpoint.url, { headers: { 'x-identity-header': endpoint.header }, signal: AbortSignal.timeout(50) }),
    ).rejects.toThrow();
    endpoint.setFault(undefined);
    expect((await ask({})).status).toBe(200);
  });
});
