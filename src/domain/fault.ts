/** The failure classes of design section 4; a closed list. Only `outage` may lead to failover. */
export const faultClasses = [
  'outage',
  'revoked',
  'keyGone',
  'vaultGone',
  'throttled',
  'invalidRequest',
  'identityOutage',
  'ambiguous',
] as const;
export type FaultClass = (typeof faultClasses)[number];

/** The classes that are denials: an answer that says no (design section 2). */
export type DenialClass = 'revoked' | 'keyGone' | 'vaultGone';

/** How far a denial reaches (F4): every link in the vault, every link with that key id, or every link in the vault with the same identity. */
export type Reach = 'vault' | 'key' | 'identity';

/** Why a call to a vault failed. Holds no secret: no token, body or key byte. */
export interface Fault {
  readonly class: FaultClass;
  /** HTTP status of the vault's answer; null without one. */
  readonly status: number | null;
  /** What tells best what happened: the inner error code, the error code, the AKV or AADSTS code, or the errno; null if none. */
  readonly code: string | null;
  /** One clause for logs and details: lower case, no full stop, broker's words only. */
  readonly detail: string;
  /** How far it reaches, where `class` is a denial; null elsewhere. */
  readonly reach: Reach | null;
  /** True where an ambiguous answer may hide a denial and so voids the proof (F1). */
  readonly mayHideDenial: boolean;
  /** True where a wrap was refused only because the key expired or is not yet active (C2): no denial of access. */
  readonly outsideValidity: boolean;
}

/** Narrows a class to the denials. */
export function isDenial(faultClass: FaultClass): faultClass is DenialClass {
  return faultClass === 'revoked' || faultClass === 'keyGone' || faultClass === 'vaultGone';
}
