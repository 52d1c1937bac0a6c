import type { Dek, WrappedDek } from '../domain/dek.ts';
import type { Fault } from '../domain/fault.ts';
import type { KeyFacts, KeyId, UnwrapAlgorithm, WrapAlgorithm } from '../domain/key.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';

/** Where a call goes and as whom. */
export interface KeyTarget {
  readonly vault: Vault;
  readonly keyId: KeyId;
  /** Client id of the managed identity; null: the broker's own. */
  readonly identity: string | null;
  /**
   * Asked when the way to the vault stands and the request is all that is left to be sent: a vault that is met for the first time, a token, or
   * a connection may take seconds. Where it answers false nothing is sent, and the fault is `heldBack`. Absent: the request may leave.
   */
  readonly mayLeave?: (() => Promise<boolean>) | undefined;
}

/** The code of the fault of a call that `mayLeave` held back. Its class is `ambiguous`: it says nothing of the vault. */
export const heldBack = 'HELD_BACK';

/**
 * The answer to one call. `sentAt` is when the request left (the time of a proof), `receivedAt` when the answer or the failure was known
 * (the time of a denial); both by the wall clock.
 */
export type Reply<T> = {
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
  readonly ms: Millis;
} & ({ readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: Fault });

/**
 * Key operations at a vault.
 *
 * - One method call is one call to the vault (C1): no hidden GET, no retry, no local wrap. Exceptions: the first call to a vault meets its
 *   challenge; a reset on a reused connection is tried once more on a fresh one; a token refused as expired is renewed once.
 * - Never rejects: every failure is a `fault` in exactly one class (F1).
 * - `within` covers everything, from the token to the last byte of the body (C5); when it ends, the fault is an `outage`
 *   (`identityOutage` if the token was not there yet).
 * - A success names the key id that was asked for and carries Key Vault's headers (C3); otherwise it is `ambiguous`.
 */
export interface VaultPort {
  /** The caller keeps `dek` and zeroes it. */
  wrap(target: KeyTarget, dek: Dek, algorithm: WrapAlgorithm, within: Millis): Promise<Reply<WrappedDek>>;
  /** The caller owns the Dek of the reply and zeroes it. */
  unwrap(target: KeyTarget, wrapped: WrappedDek, algorithm: UnwrapAlgorithm, within: Millis): Promise<Reply<Dek>>;
  /** The key's attributes and public part. */
  get(target: KeyTarget, within: Millis): Promise<Reply<KeyFacts>>;
}
