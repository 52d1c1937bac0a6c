import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';

/** Whether Azure's control plane knows the vault (F9). */
export interface ControlPlane {
  /**
   * `unknown`: it did not answer, may not be read or is not configured; that is no veto. Never rejects; answers within `within`.
   * @param since when the outage began: what was learnt before it says nothing of it.
   */
  vaultStatus(vault: Vault, within: Millis, since: Instant | null): Promise<'exists' | 'deleted' | 'unknown'>;
}
