import type { Refusal, RefusalCode } from '../domain/refusal.ts';

/** A field of a request that is wrong. `field` is its path, e.g. `standbyKeyIds[1]`; `detail` completes "{field}: ...". */
export interface FieldError {
  readonly field: string;
  readonly detail: string;
}

/** A refusal as the wire tells it: with the members that only the wire knows. */
export interface WireRefusal extends Refusal {
  /** Every wrong field of an `InvalidRequest`. */
  readonly errors?: readonly FieldError[];
  /** What is missing before the broker is ready, and what only deserves a look. */
  readonly missing?: readonly string[];
  readonly warnings?: readonly string[];
}

interface ProblemKind {
  readonly status: number;
  /** Short and always the same for the code (RFC 9457 section 3.1.3). */
  readonly title: string;
}

/** The one table from refusal to HTTP (design section 5). */
export const problemKinds: Readonly<Record<RefusalCode, ProblemKind>> = {
  InvalidRequest: { status: 400, title: 'The request is not valid' },
  Unauthenticated: { status: 401, title: 'A valid access token is needed' },
  CallerNotAllowed: { status: 403, title: 'The caller may not do this' },
  KeyAccessDenied: { status: 403, title: 'The vault denies the use of the key' },
  ServerInaccessible: { status: 403, title: 'The state of the server does not allow this' },
  NotFound: { status: 404, title: 'Not found' },
  Conflict: { status: 409, title: 'The request contradicts what is registered' },
  VaultBudgetExceeded: { status: 409, title: 'The vault has no room for so many databases' },
  PayloadTooLarge: { status: 413, title: 'The body is too large' },
  ProtectorRejected: { status: 422, title: 'The key cannot be used' },
  CiphertextRejected: { status: 422, title: 'The key does not unwrap this ciphertext' },
  Throttled: { status: 429, title: 'The budget of the vault is used up' },
  Internal: { status: 500, title: 'The broker failed' },
  VaultUnavailable: { status: 503, title: 'The vault does not answer and no standby may be used' },
  IdentityUnavailable: { status: 503, title: 'The identity platform does not answer' },
  StateUnavailable: { status: 503, title: 'The state of the broker cannot be read or written' },
  DeadlineExceeded: { status: 504, title: 'The answer was not there in time' },
};

/** A refusal of the form of a request: names every field, the first one at the beginning of `detail`. */
export function invalid(...errors: readonly [FieldError, ...FieldError[]]): { readonly ok: false; readonly refusal: WireRefusal } {
  const detail = errors.map((error) => `${error.field}: ${error.detail}`).join('; ');
  return { ok: false, refusal: { code: 'InvalidRequest', detail, errors } };
}

/** The RFC 9457 body of a refusal. Members without a value are left out. */
export function problemBody(refusal: WireRefusal, requestId: string): Readonly<Record<string, unknown>> {
  const { code, ...members } = refusal;
  return { type: `urn:keybroker:problem:${code}`, ...problemKinds[code], code, ...members, requestId };
}

/** Headers that belong to a refusal. Retry-After has whole seconds (RFC 9110 section 10.2.3): rounded up, never too early. */
export function problemHeaders(refusal: Refusal): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  if (refusal.retryAfterMs !== undefined) headers['retry-after'] = String(Math.ceil(refusal.retryAfterMs / 1000));
  if (refusal.code === 'Unauthenticated') headers['www-authenticate'] = 'Bearer';
  return headers;
}
