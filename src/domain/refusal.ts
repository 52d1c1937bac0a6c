import type { FaultClass } from './fault.ts';
import type { Finding } from './finding.ts';
import type { Millis } from './time.ts';

/** Why the broker says no; a closed list (design section 5). */
export const refusalCodes = [
  'InvalidRequest',
  'Unauthenticated',
  'CallerNotAllowed',
  'KeyAccessDenied',
  'ServerInaccessible',
  'NotFound',
  'Conflict',
  'VaultBudgetExceeded',
  'PayloadTooLarge',
  'ProtectorRejected',
  'CiphertextRejected',
  'Throttled',
  'Internal',
  'VaultUnavailable',
  'IdentityUnavailable',
  'StateUnavailable',
  'DeadlineExceeded',
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

/** One try at one link, as the caller and the records see it. */
export interface Attempt {
  readonly vault: string;
  readonly role: 'primary' | 'standby';
  /** `ok`, the class of the failure, or `circuitOpen` where the vault was not called because its circuit is open. */
  readonly class: FaultClass | 'ok' | 'circuitOpen';
  readonly status: number | null;
  readonly vaultCode: string | null;
  readonly ms: Millis;
}

/** A no, with what the caller may do next. */
export interface Refusal {
  readonly code: RefusalCode;
  /** A sentence for the caller: ids and limits, never a secret. */
  readonly detail: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: Millis;
  readonly attempts?: readonly Attempt[];
  readonly findings?: readonly Finding[];
}

/** What a road answers: expected refusals are values; only a defect of the broker is thrown. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export function done<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function refuse(
  code: RefusalCode,
  detail: string,
  more: Omit<Refusal, 'code' | 'detail'> = {},
): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: { code, detail, ...more } };
}
