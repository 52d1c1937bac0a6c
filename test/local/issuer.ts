import { createPrivateKey, createPublicKey, generateKeyPair, randomUUID, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { EnvironmentClock } from './clock.ts';
import { serveJson } from './json-server.ts';
import type { TokenClaims, TokenFlaw } from './vault/tokens.ts';

/** A token issuer as Entra ID is one, for one tenant: OpenID configuration, key set, signed tokens. */
export interface Issuer {
  /** `http://127.0.0.1:{port}` */
  readonly origin: string;
  readonly tenant: string;
  /** The `iss` of callers' tokens; its OpenID configuration is under `{issuer}/.well-known/openid-configuration`. */
  readonly issuer: string;
  /** A JWT (RS256) with these claims besides `iat`, `nbf`, `exp` and `tid`; `expiresInS` seconds from now, negative for an expired one. */
  sign(claims: Readonly<Record<string, unknown>>, expiresInS: number): string;
  /** Form and signature only; times, audience and tenant are for the reader to judge. Never rejects. */
  verify(token: string): Promise<TokenClaims | TokenFlaw>;
  /** Signs with a new key from now on. The former key stays in the key set, those before it leave. */
  rotate(): Promise<void>;
  close(): Promise<void>;
}

interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const generate = promisify(generateKeyPair);

export async function startIssuer(tenant: string, clock: EnvironmentClock): Promise<Issuer> {
  let keys: readonly SigningKey[] = [await createSigningKey()];
  const server = await serveJson({
    'GET /{tenant}/v2.0/.well-known/openid-configuration': () => ({
      issuer: `${server.url}/${tenant}/v2.0`,
      jwks_uri: `${server.url}/${tenant}/discovery/v2.0/keys`,
      token_endpoint: `${server.url}/${tenant}/oauth2/v2.0/token`,
      authorization_endpoint: `${server.url}/${tenant}/oauth2/v2.0/authorize`,
      response_types_supported: ['code', 'id_token'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
    }),
    'GET /{tenant}/discovery/v2.0/keys': () => ({ keys: keys.map(publicJwk) }),
  });
  return {
    origin: server.url,
    tenant,
    issuer: `${server.url}/${tenant}/v2.0`,
    sign(claims, expiresInS) {
      const now = Math.floor(clock.now() / 1000);
      const [key] = keys;
      if (!key) throw new Error('the issuer has no key');
      // A token that is expired was valid once: it begins an hour before its end at the latest.
      const begin = Math.min(now, now + expiresInS - 3600);
      return signJwt(key, { tid: tenant, iat: begin, nbf: begin, exp: now + expiresInS, ...claims });
    },
    verify: (token) => Promise.resolve(verifyJwt(token, keys)),
    async rotate() {
      keys = [await createSigningKey(), ...keys.slice(0, 1)];
    },
    close: () => server.close(),
  };
}

async function createSigningKey(): Promise<SigningKey> {
  const { publicKey, privateKey } = await generate('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { kid: randomUUID(), privateKey: createPrivateKey(privateKey), publicKey: createPublicKey(publicKey) };
}

function publicJwk({ kid, publicKey }: SigningKey): object {
  return { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
}

function signJwt(key: SigningKey, claims: object): string {
  const signed = `${encode({ alg: 'RS256', typ: 'JWT', kid: key.kid })}.${encode(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), key.privateKey).toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function verifyJwt(token: string, keys: readonly SigningKey[]): TokenClaims | TokenFlaw {
  const [header, payload, signature, ...more] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) return 'invalid';
  const { alg, kid } = decode(header);
  if (alg !== 'RS256') return 'invalid';
  const key = keys.find((candidate) => candidate.kid === kid);
  if (!key) return 'unresolvedKey';
  if (!verify('sha256', Buffer.from(`${header}.${payload}`), key.publicKey, Buffer.from(signature, 'base64url'))) return 'invalid';
  const { oid, appid, aud, tid, exp } = decode(payload);
  if (typeof oid !== 'string' || typeof aud !== 'string' || typeof tid !== 'string' || typeof exp !== 'number') return 'invalid';
  return { principal: oid, appId: typeof appid === 'string' ? appid : '', audience: aud, tenant: tid, expiresAt: exp * 1000 };
}

function decode(part: string): Readonly<Partial<Record<string, unknown>>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
