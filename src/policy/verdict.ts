import type { Fault, FaultClass } from '../domain/fault.ts';
import type { OperationName } from '../domain/operation.ts';
import type { RefusalCode } from '../domain/refusal.ts';

/** What follows from a class of failure (design section 4). */
export interface Consequence {
  /** May lead to failover, and counts for the circuit (F2, F3): outages and nothing else. */
  readonly outage: boolean;
  /** What the caller hears if no standby answers in the vault's stead. */
  readonly code: RefusalCode;
  /** Whether the same request may succeed later without anyone's doing. */
  readonly retryable: boolean;
}

const consequences: Readonly<Record<FaultClass, Consequence>> = {
  outage: { outage: true, code: 'VaultUnavailable', retryable: true },
  revoked: { outage: false, code: 'KeyAccessDenied', retryable: false },
  keyGone: { outage: false, code: 'KeyAccessDenied', retryable: false },
  vaultGone: { outage: false, code: 'KeyAccessDenied', retryable: false },
  throttled: { outage: false, code: 'Throttled', retryable: true },
  invalidRequest: { outage: false, code: 'Internal', retryable: false },
  identityOutage: { outage: false, code: 'IdentityUnavailable', retryable: true },
  ambiguous: { outage: false, code: 'VaultUnavailable', retryable: true },
};

/**
 * Whether another standby may be asked after this one has failed, while the primary is down. Not after what may be a denial (T33): it is
 * stored first, and so keeps the next request from this standby. Nor after what would be the same everywhere: the token, the ciphertext.
 */
export function leadsOn(fault: Fault): boolean {
  if (fault.outsideValidity) return true;
  return fault.class === 'outage' || fault.class === 'throttled' || (fault.class === 'ambiguous' && !fault.mayHideDenial);
}

/** The consequence of a fault met by an operation. A vault's 400 to unwrap means the ciphertext, not the broker. */
export function consequenceOf(fault: Fault, operation: OperationName | 'get'): Consequence {
  const consequence = consequences[fault.class];
  const aboutCiphertext = fault.class === 'invalidRequest' && fault.status === 400 && operation !== 'wrap' && operation !== 'get';
  return aboutCiphertext ? { ...consequence, code: 'CiphertextRejected' } : consequence;
}
