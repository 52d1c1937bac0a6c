targetScope = 'resourceGroup'

// A vault that one already has: the broker's role, the lock, the audit log and the alerts, and nothing about the vault itself.
// Deployed into the vault's resource group. Refused where the vault has no purge protection (K3).

@description('Name of the vault in this resource group. It uses Azure RBAC; with access policies the role would have no effect.')
@minLength(3)
@maxLength(24)
param vaultName string

@description('Output BROKER_ROLE_ID of the deployment.')
@minLength(1)
param brokerRoleId string

@description('Output BROKER_IDENTITY_PRINCIPAL_ID of the deployment, and the principals of serverIdentities if any.')
@minLength(1)
param brokerPrincipalIds string[]

@description('Output LOG_ANALYTICS_WORKSPACE_ID of the deployment.')
@minLength(1)
param workspaceId string

@description('Id of the action group that hears of alerts.')
@minLength(1)
param actionGroupId string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

var usesRoles = vault.properties.?enableRbacAuthorization ?? false

module access 'modules/vault-access.bicep' = {
  name: 'own-vault-access'
  params: {
    vaultName: vaultName
    workspaceId: workspaceId
    actionGroupId: actionGroupId
    brokerRoleId: usesRoles ? brokerRoleId : fail('The vault uses access policies: az keyvault update --enable-rbac-authorization true, after its callers have roles.')
    brokerPrincipalIds: brokerPrincipalIds
    onboardingRoleId: ''
    onboardingGroupId: ''
  }
}
