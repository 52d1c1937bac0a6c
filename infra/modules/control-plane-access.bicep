targetScope = 'subscription'

param principalId string
param roleId string

// At the subscription, since a deleted vault has no scope of its own any more.
resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, principalId, roleId)
  properties: { roleDefinitionId: roleId, principalId: principalId, principalType: 'ServicePrincipal' }
}
