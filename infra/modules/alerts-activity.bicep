// The accidents of seed 002 that the control plane sees, without waiting for traffic: scope is the group of the keys.

param name string
param tags object
param actionGroupId string

var accidents = [
  {
    id: 'vault-deleted'
    operation: 'Microsoft.KeyVault/vaults/delete'
    action: 'A vault was deleted. az keyvault recover brings it back with its keys; its role assignments must be given anew (run the deployment again).'
  }
  {
    id: 'pool-deleted'
    operation: 'Microsoft.KeyVault/managedHSMs/delete'
    action: 'A Managed HSM pool was deleted. az keyvault recover --hsm-name brings it back with its keys.'
  }
  {
    id: 'vault-changed'
    operation: 'Microsoft.KeyVault/vaults/write'
    action: 'The firewall, the access model or another property of a vault was changed. If nobody meant it, run the deployment again.'
  }
  {
    id: 'role-removed'
    operation: 'Microsoft.Authorization/roleAssignments/delete'
    action: 'A role at the vaults was taken away. If it was the broker\'s and nobody meant it, run the deployment again: databases go inaccessible within 10 minutes.'
  }
  {
    id: 'lock-removed'
    operation: 'Microsoft.Authorization/locks/delete'
    action: 'A lock was removed: the next step can be a deletion. Ask who did it.'
  }
  {
    id: 'identity-deleted'
    operation: 'Microsoft.ManagedIdentity/userAssignedIdentities/delete'
    action: 'The broker\'s identity was deleted. It cannot be recovered: run the deployment again, which makes one and gives it its roles.'
  }
]

resource alert 'Microsoft.Insights/activityLogAlerts@2020-10-01' = [for accident in accidents: {
  name: '${name}-${accident.id}'
  location: 'global'
  tags: tags
  properties: {
    description: accident.action
    enabled: true
    scopes: [ resourceGroup().id ]
    condition: {
      allOf: [
        { field: 'category', equals: 'Administrative' }
        { field: 'operationName', equals: accident.operation }
        { field: 'status', equals: 'Succeeded' }
      ]
    }
    actions: {
      actionGroups: [
        { actionGroupId: actionGroupId }
      ]
    }
  }
}]

resource unhealthy 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: '${name}-vault-unhealthy'
  location: 'global'
  tags: tags
  properties: {
    description: 'Azure says that a vault is unavailable or degraded. The broker fails over by itself where F3 allows; do not change keys or rights meanwhile.'
    enabled: true
    scopes: [ resourceGroup().id ]
    condition: {
      allOf: [
        { field: 'category', equals: 'ResourceHealth' }
        {
          anyOf: [
            { field: 'properties.currentHealthStatus', equals: 'Unavailable' }
            { field: 'properties.currentHealthStatus', equals: 'Degraded' }
          ]
        }
      ]
    }
    actions: {
      actionGroups: [
        { actionGroupId: actionGroupId }
      ]
    }
  }
}
