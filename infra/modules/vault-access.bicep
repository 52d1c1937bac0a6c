// What surrounds a vault that exists: who may use it, who may bring keys, what keeps it, what tells of it.

param vaultName string
param workspaceId string
param actionGroupId string
param brokerRoleId string
param brokerPrincipalIds string[]
param onboardingRoleId string

@description('Empty: nobody.')
param onboardingGroupId string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

var isProtected = vault.properties.?enablePurgeProtection ?? false
var unprotected = 'The vault has no purge protection, and the broker would refuse its keys (K3): az keyvault update --enable-purge-protection true'

resource brokers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principalId in brokerPrincipalIds: {
  name: guid(vault.id, principalId, brokerRoleId)
  scope: vault
  properties: {
    roleDefinitionId: brokerRoleId
    principalId: principalId
    principalType: 'ServicePrincipal'
    description: isProtected ? 'The broker reads, wraps and unwraps.' : fail(unprotected)
  }
}]

resource onboarding 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(onboardingGroupId)) {
  name: guid(vault.id, onboardingGroupId, onboardingRoleId)
  scope: vault
  properties: {
    roleDefinitionId: onboardingRoleId
    principalId: onboardingGroupId
    principalType: 'Group'
    description: 'Brings keys; cannot use them.'
  }
}

// Keeps the role assignments and the diagnostic setting of the vault too, as a lock does all that lies under its resource.
resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'keep'
  scope: vault
  properties: { level: 'CanNotDelete', notes: 'Databases go offline within 10 minutes of losing this vault.' }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
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

module alerts 'alerts-vault.bicep' = {
  name: 'alerts-${vaultName}'
  params: { vaultName: vault.name, vaultId: vault.id, actionGroupId: actionGroupId }
}
