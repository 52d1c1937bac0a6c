import type { Finding } from '../domain/finding.ts';

/*
 * What the broker's identities need in a vault is get, wrap and unwrap of keys. The role *Key Vault Crypto Service Encryption User* has just that
 * (with subscriptions of Event Grid, which give no access to keys); an access policy has the same three.
 */
const needed = new Set(
  [
    'keys/get',
    'keys/wrapKey',
    'keys/unwrapKey',
    'Microsoft.KeyVault/vaults/read',
    'Microsoft.KeyVault/vaults/keys/read',
    'Microsoft.KeyVault/vaults/keys/wrap/action',
    'Microsoft.KeyVault/vaults/keys/unwrap/action',
  ].map((permission) => permission.toLowerCase()),
);

/** Whether what is granted reaches into a vault, or to who may do what there. */
const matters = /^(keys|secrets|certificates|storage)\/|^\*|^microsoft\.(keyvault|authorization)\//i;

/** How many are named before the rest is counted. */
const mostNamed = 5;

/** What an identity may do in a vault beyond its need (issue 6: read, never tried). @param server null: it is the broker's own identity. */
export function excessFindings(vault: string, server: string | null, granted: readonly string[]): readonly Finding[] {
  const excess = [...new Set(granted)].filter((permission) => matters.test(permission) && !isNeeded(permission)).sort();
  if (excess.length === 0) return [];
  const more = excess.length > mostNamed ? ` and ${excess.length - mostNamed} more` : '';
  return [
    {
      code: 'ExcessPermission',
      severity: 'warning',
      server,
      keyId: null,
      vault,
      detail: `the identity may do more than get, wrap and unwrap: ${excess.slice(0, mostNamed).join(', ')}${more}`,
      action: 'Grant it the role Key Vault Crypto Service Encryption User alone, or the key permissions get, wrapKey and unwrapKey.',
    },
  ];
}

function isNeeded(permission: string): boolean {
  const lower = permission.toLowerCase();
  // Reading what exists in the control plane, and who is assigned what, is how the broker itself checks this.
  return (
    needed.has(lower) ||
    (/^microsoft\.(keyvault|authorization)\/.*\/read$/.test(lower) && !/\/vaults\/(secrets|certificates|keys)\//.test(lower))
  );
}
