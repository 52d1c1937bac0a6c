import type { KeyId } from './key.ts';

/** Codes of findings (K4, P1); a closed list, the same everywhere (design 5.1). */
export const findingCodes = [
  'KeyUnreachable',
  'GetDenied',
  'WrapDenied',
  'UnwrapDenied',
  'KeyNotFound',
  'KeyDisabled',
  'KeyNotYetActive',
  'KeyExpired',
  'KeyExpiresSoon',
  'KeyTypeUnsupported',
  'KeySizeUnsupported',
  'KeyOperationsMissing',
  'NameTooLong',
  'SoftDeleteOff',
  'PurgeProtectionOff',
  'WrongTenant',
  'SameVault',
  'SameRegion',
  'OtherGeography',
  'MaterialMismatch',
  'TooManyStandbys',
  'ChainedStandby',
  'NoStandby',
  'VaultNotRegistered',
  'BudgetTight',
  'ProofStale',
  'ProtectorRemote',
  'OtherSubscription',
  'BackupUnconfirmed',
  'FormerKeyUnusable',
  'ExcessPermission',
] as const;
export type FindingCode = (typeof findingCodes)[number];

export type Severity = 'error' | 'warning' | 'info';

/** Something that is wrong, or will be, with a key of a server, or with a vault as a whole. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** Null where it concerns a vault as a whole. */
  readonly server: string | null;
  readonly keyId: KeyId | null;
  readonly vault: string | null;
  /** What was seen. */
  readonly detail: string;
  /** One sentence on what to do. */
  readonly action: string;
}
