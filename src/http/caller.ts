import { hash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload } from 'jose';
import { roles, type Caller, type Role } from '../domain/caller.ts';
import { done, refuse, type Outcome } from '../domain/refusal.ts';
import type { Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import { discoveredKeySet, KeySet, KeySetAway, type ReadJson } from './key-set.ts';

export interface CallerSettings {
  /** The token's `iss`, letter by letter. */
  readonly issuer: string;
  /** Any one of these must be the token's `aud`. */
  readonly audiences: readonly string[];
  /** The token's `tid`; null: not looked at. */
  readonly tenantId: string | null;
  /** Null: taken from the issuer's metadata. */
  readonly jwksUri: string | null;
  /** How far the issuer's clock and ours may be apart. */
  readonly clockToleranceMs: Millis;
  /** How many verified tokens are remembered; default 10,000. */
  readonly rememberedTokens?: number;
}

/** Says who calls. */
export interface Callers {
  /**
   * @param authorization the header, as it came.
   * @returns `Unauthenticated` for every bad token, `IdentityUnavailable` where no key set was ever read. Never rejects but for a defect.
   */
  identify(authorization: string | null): Outcome<Caller> | Promise<Outcome<Caller>>;
}

const algorithms = ['RS256', 'PS256', 'ES256'];
/** Entra's tokens have at most about 2 KiB; what is longer is not looked at. */
const longestToken = 16 * 1024;
const bearer = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;
const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** A token that was verified, known by the SHA-256 of its text alone. Times in milliseconds since the epoch, tolerance included. */
interface Remembered {
  readonly outcome: Outcome<Caller>;
  readonly from: number;
  readonly until: number;
}

const unauthenticated = (detail: string) => refuse('Unauthenticated', detail);

/** Callers by their Entra access tokens. A bad token costs a bounded amount of work: one hash and at most one signature check. */
export function createCallers(settings: CallerSettings, clock: Clock, readJson: ReadJson): Callers {
  const { jwksUri, issuer, rememberedTokens = 10_000 } = settings;
  const keySet = new KeySet(jwksUri === null ? discoveredKeySet(issuer, readJson) : () => readJson(jwksUri), clock);
  const remembered = new Map<string, Remembered>();

  async function verify(token: string, digest: string): Promise<Outcome<Caller>> {
    const claims = await claimsOf(token, keySet, settings, clock);
    if (!claims.ok) return claims;
    const outcome = callerOf(claims.value, settings.tenantId);
    if (outcome.ok) remember(digest, outcome, claims.value);
    return outcome;
  }

  function remember(digest: string, outcome: Outcome<Caller>, { exp = 0, nbf = 0 }: JWTPayload): void {
    const tolerance = settings.clockToleranceMs;
    remembered.set(digest, { outcome, from: nbf * 1000 - tolerance, until: exp * 1000 + tolerance });
    if (remembered.size <= rememberedTokens) return;
    const [oldest] = remembered.keys();
    if (oldest !== undefined) remembered.delete(oldest);
  }

  /** Recently used tokens go to the end, so that the first is the one to forget. */
  function recall(digest: string): Outcome<Caller> | undefined {
    const known = remembered.get(digest);
    if (known === undefined) return undefined;
    remembered.delete(digest);
    const now = clock.now();
    if (now < known.from || now >= known.until) return undefined;
    remembered.set(digest, known);
    return known.outcome;
  }

  return {
    identify(authorization) {
      if (authorization === null) return unauthenticated('an access token is needed: Authorization: Bearer {token}');
      if (authorization.length > longestToken) return unauthenticated('the access token is too long');
      const token = bearer.exec(authorization)?.[1];
      if (token === undefined) return unauthenticated('the Authorization header holds no signed JWT');
      const digest = hash('sha256', token, 'base64');
      return recall(digest) ?? verify(token, digest);
    },
  };
}

async function claimsOf(token: string, keySet: KeySet, settings: CallerSettings, clock: Clock): Promise<Outcome<JWTPayload>> {
  try {
    const { payload } = await jwtVerify(token, (header) => keySet.key(header), {
      algorithms,
      issuer: settings.issuer,
      audience: [...settings.audiences],
      clockTolerance: settings.clockToleranceMs / 1000,
      currentDate: new Date(clock.now()),
      requiredClaims: ['exp'],
    });
    return done(payload);
  } catch (error) {
    if (error instanceof KeySetAway) return refuse('IdentityUnavailable', "the issuer's key set cannot be read", { retryable: true });
    return unauthenticated(fault(error));
  }
}

/** What is wrong with a token, in the broker's own words: nothing of the token is repeated. */
function fault(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the access token has expired';
  if (error instanceof errors.JWTClaimValidationFailed) return claimFaults[error.claim] ?? 'the access token has a claim that is not valid';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature of the access token is not valid';
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported)
    return 'the access token is not signed by an algorithm that is allowed';
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return 'the access token is not signed by a key of the issuer';
  return 'the access token is not valid';
}

const claimFaults: Readonly<Record<string, string>> = {
  nbf: 'the access token is not valid yet',
  iss: 'the access token is from another issuer',
  aud: 'the access token is for another audience',
  exp: 'the access token does not say when it expires',
};

/** Roles that are not the broker's are none of its business. No role at all is a valid token: what it may do is the route's to say. */
function callerOf(claims: JWTPayload, tenantId: string | null): Outcome<Caller> {
  const { oid, tid, roles: given = [] } = claims;
  const objectId = typeof oid === 'string' ? oid.toLowerCase() : '';
  if (!guid.test(objectId)) return unauthenticated('the access token has no object id (oid)');
  if (tenantId !== null && (typeof tid !== 'string' || tid.toLowerCase() !== tenantId))
    return unauthenticated('the access token is of another tenant');
  if (!Array.isArray(given)) return unauthenticated('the roles of the access token are not a list');
  return done({ objectId, roles: new Set(roles.filter((role: Role) => given.includes(role))) });
}
