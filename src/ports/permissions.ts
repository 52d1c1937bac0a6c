import type { Vault } from '../domain/vault.ts';

/** What identities may do in a vault, as Azure's control plane tells it. */
export interface Permissions {
  /**
   * The permissions that the identity holds at the vault: `{kind}/{permission}` of an access policy, such as `keys/wrapKey`, or the actions and
   * data actions of its role assignments, such as `Microsoft.KeyVault/vaults/keys/wrap/action`; wildcards as they were granted.
   * @param identity client id; null: the broker's own.
   * @returns null where they cannot be read: not configured, not allowed, or no answer within a few seconds. Never rejects.
   */
  granted(vault: Vault, identity: string | null): Promise<readonly string[] | null>;
}
