import type { KeyId, KeyOperation } from '../domain/key.ts';
import type { Reply } from './vault.ts';

export type CircuitState = 'closed' | 'open' | 'halfOpen';

/** What a call asks of which key. */
export interface CircuitCall {
  readonly keyId: KeyId;
  readonly operation: KeyOperation;
}

/**
 * The circuits of this instance, one a vault (F2). They count outages only; every other answer shows that the vault is alive.
 * A closed circuit opens when outages were met with at least two keys, or by a canary: one poisoned ciphertext that makes the service
 * answer 500 opens nothing.
 * A vault may fail wraps alone. So they count for themselves: where only wraps met outages the circuit is open for wraps and for nothing
 * else, so that no server without a standby loses its unwraps, and only a wrap that is answered closes it. Open for unwraps, it is open for all.
 */
export interface Circuits {
  /**
   * Makes the call unless the circuit is open for its operation.
   * @returns the call's reply, or undefined where the circuit is open and the call was not made.
   */
  through<T>(vault: string, call: CircuitCall, send: () => Promise<Reply<T>>): Promise<Reply<T> | undefined>;
  /**
   * Makes a canary call, also while the circuit is open: then as its probe, one at a time. Its outage opens the circuit, or keeps it open;
   * an answer that shows the vault alive closes it, but for what wraps opened where it is no wrap.
   * @returns the call's reply, or undefined where another probe is under way.
   */
  canary<T>(vault: string, call: CircuitCall, send: () => Promise<Reply<T>>): Promise<Reply<T> | undefined>;
  /**
   * For calls of `operation`; without it, the circuit is closed only where it is so for all.
   * `since`: wall clock in milliseconds, when it opened for anything or closed for all; null while it never did.
   */
  state(vault: string, operation?: KeyOperation): { readonly state: CircuitState; readonly since: number | null };
}
