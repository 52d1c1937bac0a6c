import type { Vault } from '../domain/vault.ts';
import type { Registry } from '../ports/registry.ts';

/**
 * The vault of a link, with all others brought into the copy where that lacks it. Undefined: none is registered.
 * Rejects with `StoreAway`, with `Unreadable` where the vault is there and cannot be read.
 */
export async function vaultOf(registry: Registry, name: string): Promise<Vault | undefined> {
  return registry.peekVault(name) ?? (await registry.readVaults()).find((vault) => vault.name === name) ?? registry.findVault({ name });
}
