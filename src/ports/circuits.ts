import type { KeyId } from '../domain/key.ts';
import type { Reply } from './vault.ts';

export type CircuitState = 'closed' | 'open' | 'halfOpen';

/**
 * The circuits of this instance, one a vault (F2). They count outages only; every other answer shows that the vault is alive.
 * A closed circuit opens when outages were met with at least two keys, or by a canary: one poisoned ciphertext that makes the service
 * answer 500 opens nothing.
 */
export interface Circuits {
  /**
   * Makes the call unless the circuit is open.
   * @returns the call's reply, or undefined where the circuit is open and the call was not made.
   */
  through<T>(vault: string, keyId: KeyId, call: () => Promise<Reply<T>>): Promise<Reply<T> | undefined>;
  /**
   * Makes a canary call, also while the circuit is open: then as its probe, one at a time. Its outage opens the circuit, or keeps it open;
   * any other answer closes it.
   * @returns the call's reply, or undefined where another probe is under way.
   */
  canary<T>(vault: string, keyId: KeyId, call: () => Promise<Reply<T>>): Promise<Reply<T> | undefined>;
  /** `since`: wall clock in milliseconds; null while it never changed. */
  state(vault: string): { readonly state: CircuitState; readonly since: number | null };
}
