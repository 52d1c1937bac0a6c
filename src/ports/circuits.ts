import type { KeyId } from '../domain/key.ts';
import type { Reply } from './vault.ts';

export type CircuitState = 'closed' | 'open' | 'halfOpen';

/** The circuits of this instance, one a vault (F2). They count outages only; every other answer shows that the vault is alive. */
export interface Circuits {
  /**
   * Makes the call unless the circuit is open.
   * @returns the call's reply, or undefined where the circuit is open and the call was not made.
   */
  through<T>(vault: string, keyId: KeyId, call: () => Promise<Reply<T>>): Promise<Reply<T> | undefined>;
  /**
   * Makes one probe of an open circuit with a canary unwrap; its success closes the circuit, its outage opens it anew. Does nothing, and
   * answers undefined, while the circuit is closed or another probe is under way.
   */
  probe<T>(vault: string, call: () => Promise<Reply<T>>): Promise<Reply<T> | undefined>;
  state(vault: string): { readonly state: CircuitState; readonly since: number | null };
  /** Vaults whose circuit is not closed. */
  open(): readonly string[];
}
