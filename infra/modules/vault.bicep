@maxLength(24)
param name string
param location string
param tags object
param isPrivate bool

@description('Empty: no key is made here.')
param firstKeyName string
param firstKeySize int

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'premium' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    // A switch that works once: a vault that has it keeps it, and K3 accepts no other.
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      // Lets in Azure SQL and its like where they use the same vault themselves; Functions is no trusted service.
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: []
      virtualNetworkRules: []
    }
  }
}

// Made by the control plane, so it works through a closed firewall and gives the deployer no right to use it. Its copy in the other vault
// needs backup and restore (scripts/copy-key.sh). No rotation policy: a version made in one vault alone would fork the two (K1).
resource key 'Microsoft.KeyVault/vaults/keys@2026-02-01' = if (!empty(firstKeyName)) {
  parent: vault
  name: empty(firstKeyName) ? 'none' : firstKeyName
  properties: { kty: 'RSA-HSM', keySize: firstKeySize, keyOps: [ 'wrapKey', 'unwrapKey' ], attributes: { enabled: true } }
}

output id string = vault.id
output name string = vault.name
output uri string = vault.properties.vaultUri
