@maxLength(24)
param name string
param location string
param tags object
param isPrivate bool
param administratorIds string[]
param workspaceId string

// Rights inside a pool are given by its own access control, which no template reaches: see README, Managed HSM.
resource pool 'Microsoft.KeyVault/managedHSMs@2026-02-01' = {
  name: name
  location: location
  tags: tags
  sku: { family: 'B', name: 'Standard_B1' }
  properties: {
    tenantId: tenant().tenantId
    initialAdminObjectIds: administratorIds
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: { bypass: 'AzureServices', defaultAction: isPrivate ? 'Deny' : 'Allow', ipRules: [], virtualNetworkRules: [] }
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'keep'
  scope: pool
  properties: { level: 'CanNotDelete', notes: 'Databases go offline within 10 minutes of losing this pool.' }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: pool
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      { category: 'AuditEvent', enabled: true }
    ]
    metrics: [
      { category: 'AllMetrics', enabled: true }
    ]
  }
}

output id string = pool.id
output uri string = pool.properties.hsmUri
