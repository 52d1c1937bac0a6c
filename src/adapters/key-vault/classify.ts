import type { Fault, Reach } from '../../domain/fault.ts';
import { parseKeyId, type KeyId, type KeyOperation } from '../../domain/key.ts';
import type { Vault } from '../../domain/vault.ts';
import { fault } from '../fault.ts';
import { readJson } from '../json.ts';
import { parseChallenge, wantsClaims } from './challenge.ts';
import { brokenOff, type WireResult } from './wire.ts';
import { readVaultError, type VaultError } from './vault-error.ts';

/** What was asked of the vault: the same answer means different things to different questions. */
export interface Question {
  readonly operation: KeyOperation;
  readonly keyId: KeyId;
  readonly kind: Vault['kind'];
}

const fingerprints = ['x-ms-keyvault-service-version', 'x-ms-keyvault-network-info', 'x-ms-keyvault-region', 'x-ms-server-latency'];

/** Whether the response carries one of Key Vault's own headers, so that no proxy, portal or impostor wrote it (facts, key-vault-behaviour 1.1 rule 4). */
export function isKeyVaults(result: WireResult): boolean {
  return fingerprints.some((name) => result.headers[name] !== undefined);
}

/**
 * C3: status 200 from Key Vault, naming the key id that was asked for.
 * @returns the body; undefined if the response is anything else.
 */
export function readSuccess(result: WireResult, { keyId, operation }: Question): Readonly<Record<string, unknown>> | undefined {
  if (result.status !== 200 || result.body === null || !isKeyVaults(result)) return undefined;
  const body = readJson(result.body);
  if (body === undefined) return undefined;
  if (operation === 'get') return names(readJson(body['key'])?.['kid'], keyId) ? body : undefined;
  const { kid, value } = body;
  return names(kid, keyId) && typeof value === 'string' && isBase64url(value) ? body : undefined;
}

/** A vault may spell the id as the key was created, and not as it was asked for; nor is a link of an earlier version in lower case. */
function names(kid: unknown, keyId: KeyId): boolean {
  return kid === keyId || (typeof kid === 'string' && parseKeyId(kid)?.keyId === keyId.toLowerCase());
}

/** At least one byte, no padding; 1 letter more than a multiple of 4 would be half a byte. */
function isBase64url(text: string): boolean {
  return text.length % 4 !== 1 && /^[A-Za-z0-9_-]+$/.test(text);
}

/** Errnos that say that the other side, or the path to it, does not answer (facts 4, with the rulings of design section 4). All others are ambiguous. */
const outages: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'EHOSTUNREACH',
  brokenOff.deadline,
]);

/** The one fault of a call that did not succeed (F1); the order of tests is that of facts 1.1. */
export function classify(result: WireResult, question: Question): Fault {
  const { status, errno } = result;
  // A status that came counts also where its body did not: a 403 that stalls is a denial, not an outage.
  if (status === null) return classifyErrno(errno);
  if (status === 500 || status === 502 || status === 503 || status === 504) {
    return fault('outage', 'the vault answered with a server error', { status, code: codeOf(readVaultError(result.body)) });
  }
  if (status === 200) return classifyUnfitSuccess(result);
  if (status === 401) return classify401(result, question);
  if (!isKeyVaults(result)) {
    return fault('ambiguous', "the answer carries none of Key Vault's headers", {
      status,
      mayHideDenial: status === 403 || status === 404,
    });
  }
  return classifyByStatus(status, readVaultError(result.body), question);
}

/** An ENOTFOUND that no second resolver has confirmed: it may be a deletion as well as a fault of the local DNS. */
function classifyErrno(errno: string | null): Fault {
  if (errno === 'ENOTFOUND') {
    return fault('ambiguous', 'the name of the vault was not found, and no second resolver confirms that it is gone', {
      code: errno,
      mayHideDenial: true,
    });
  }
  if (errno !== null && outages.has(errno)) {
    return fault('outage', errno === brokenOff.deadline ? 'the vault did not answer in time' : 'the connection to the vault failed', {
      code: errno,
    });
  }
  if (errno === brokenOff.noConnection)
    return fault('ambiguous', 'no connection was free in time while the vault answered others', { code: errno });
  if (errno === brokenOff.notHttps) return fault('invalidRequest', 'the address of the vault is not https', { code: errno });
  return fault('ambiguous', 'no connection to the vault that can be trusted or told apart from a local fault', { code: errno });
}

/** ENOTFOUND, and a second resolver says NXDOMAIN. */
export const nameGone: Fault = fault('vaultGone', 'the name of the vault no longer exists', { code: 'ENOTFOUND', reach: 'vault' });

/** The SDK or the broker refused before anything was sent (facts 1.1 rule 2). */
export function refusedLocally(code: string, detail: string): Fault {
  return fault('invalidRequest', detail, { code });
}

function classifyUnfitSuccess(result: WireResult): Fault {
  const { status, errno } = result;
  if (errno !== null && outages.has(errno)) return fault('outage', 'the answer broke off', { status, code: errno });
  return fault(
    'ambiguous',
    isKeyVaults(result) ? 'the answer does not fit the request' : "the answer carries none of Key Vault's headers",
    { status, code: errno },
  );
}

function classifyByStatus(status: number, error: VaultError, question: Question): Fault {
  const code = codeOf(error);
  switch (status) {
    case 400:
    case 405:
    case 409:
    case 413:
    case 414:
    case 415:
      return fault('invalidRequest', 'the vault refused the request as invalid', { status, code });
    case 403:
      return classify403(error, question);
    case 404:
      if (error.code === 'KeyNotFound') return fault('keyGone', 'the vault has no such key', { status, code, reach: 'key' });
      return fault('ambiguous', 'the vault answered 404 without naming the key', { status, code, mayHideDenial: true });
    case 408:
      return fault('outage', 'the vault gave the request up', { status, code });
    case 429:
      return fault('throttled', 'the vault throttles', { status, code });
    default:
      return fault('ambiguous', 'the vault gave an answer that the broker does not know', { status, code });
  }
}

const reachOf403: Readonly<Record<string, Reach>> = {
  ForbiddenByFirewall: 'vault',
  ForbiddenByConnection: 'vault',
  ForbiddenByNsp: 'vault',
  KeyDisabled: 'key',
  KeyOperationForbidden: 'key',
};

/** Every 403 of a vault is a denial, whatever its inner code: an unknown one too. The code only says how far it reaches (F4). */
function classify403(error: VaultError, { operation }: Question): Fault {
  const parts = { status: 403, code: codeOf(error) };
  if (operation === 'wrapKey' && isOutsideValidity(error)) {
    return fault('revoked', 'the key has expired or is not yet active', { ...parts, reach: 'key', outsideValidity: true });
  }
  const reach = (error.inner !== null ? reachOf403[error.inner] : undefined) ?? 'identity';
  const detail = {
    vault: 'the network rules of the vault refuse the broker',
    key: 'the vault refuses this use of the key',
    identity: 'the vault refuses this identity',
  };
  return fault('revoked', detail[reach], { ...parts, reach });
}

const validityCodes: ReadonlySet<string | null> = new Set(['KeyExpired', 'KeyNotYetValid', 'KeyNotYetActive']);
const validityMessage = /^Operation \w+ is not allowed on an? (?:expired|not[ -]yet[ -](?:valid|active)|inactive) key\b/i;

/**
 * C2. The inner code of this refusal is not established (facts 12.3), so the message, by analogy with that of secrets, is read as well: the one
 * place where prose decides. A wording that is not known leaves a plain denial of wrap, which the canary of F4 settles.
 */
function isOutsideValidity(error: VaultError): boolean {
  return validityCodes.has(error.inner) || validityMessage.test(error.message);
}

/** Facts 3.1.2 and 3.1.3, after the one renewal of the token that `mayBeStale` allows. */
function classify401(result: WireResult, question: Question): Fault {
  const { status } = result;
  const error = readVaultError(result.body);
  const parts = { status, code: error.akv ?? codeOf(error) };
  const header = result.headers['www-authenticate'];
  if (isEmptyHsm401(result, question)) return fault('revoked', 'the Managed HSM refuses this identity', { ...parts, reach: 'identity' });
  if (!isKeyVaults(result)) {
    return fault('ambiguous', "the answer carries none of Key Vault's headers", { ...parts, mayHideDenial: true });
  }
  if (wantsClaims(header)) return fault('revoked', 'a policy of the tenant refuses this identity', { ...parts, reach: 'identity' });
  if (error.akv === 'AKV10032')
    return fault('revoked', 'the vault trusts another tenant than that of this identity', { ...parts, reach: 'identity' });
  if (error.akv === 'AKV10022') return fault('invalidRequest', 'the token was made for another audience', parts);
  // The vault could not get Entra's signing keys: it has not looked at the caller's rights, so nothing is hidden and earlier proofs stand (facts 3.1.3).
  if (error.akv === 'AKV10046') return fault('ambiguous', 'the vault could not verify the token', parts);
  if (header !== undefined && expiredToken.test(error.message))
    return fault('identityOutage', 'the vault refuses the newest token as expired', parts);
  return fault('ambiguous', 'the vault refuses the token without a reason that the broker knows', { ...parts, mayHideDenial: true });
}

/** The AKV number of an expired token is not established (facts 3.1.2); these are the codes seen, and the word that the message needs. */
const expiredToken = /\bIDX10223\b|\bS2S12086\b|\bTokenExpired\b|\btoken\b.{0,80}\bexpired\b|\bexpired\b.{0,80}\btoken\b/i;

/** A Managed HSM's 401 has an empty body and none of the fingerprints (facts 3.1.1): its challenge is all there is to know it by. */
function isEmptyHsm401({ body, headers }: WireResult, { kind }: Question): boolean {
  return kind === 'managedHsm' && (body === null || body === '') && parseChallenge(headers['www-authenticate']) !== undefined;
}

/** A 401 after which a newly acquired token may be accepted (T02, T04, T05, T06): one renewal, one more send, then the table. */
export function mayBeStale(result: WireResult, question: Question): boolean {
  if (result.status !== 401) return false;
  if (isEmptyHsm401(result, question)) return true;
  return isKeyVaults(result) && !wantsClaims(result.headers['www-authenticate']) && readVaultError(result.body).akv !== 'AKV10022';
}

function codeOf(error: VaultError): string | null {
  return error.inner ?? error.code;
}
