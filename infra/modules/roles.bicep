targetScope = 'subscription'

// The built-in `Key Vault Crypto Service Encryption User` has the broker's three data actions, and the right to write and delete Event
// Grid subscriptions besides. These roles have nothing besides.

param deployment string

resource broker 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, deployment, 'broker')
  properties: {
    roleName: 'Key Broker (${deployment})'
    description: 'Reads keys and uses them to wrap and unwrap. For the identities of the key-operations broker.'
    type: 'CustomRole'
    assignableScopes: [ subscription().id ]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/read'
          'Microsoft.KeyVault/vaults/keys/wrap/action'
          'Microsoft.KeyVault/vaults/keys/unwrap/action'
        ]
        notDataActions: []
      }
    ]
  }
}

resource controlPlaneReader 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, deployment, 'control-plane-reader')
  properties: {
    roleName: 'Key Broker Control Plane Reader (${deployment})'
    description: 'Sees whether a vault exists or was deleted (F9), and who may do what at it (P1). No right to anything in a vault.'
    type: 'CustomRole'
    assignableScopes: [ subscription().id ]
    permissions: [
      {
        // The list of deleted vaults is no part of a vault: reading it needs rights of its own, at the subscription.
        actions: [
          'Microsoft.KeyVault/vaults/read'
          'Microsoft.KeyVault/locations/deletedVaults/read'
          'Microsoft.KeyVault/locations/deletedManagedHsms/read'
          // Permissions beyond need are a finding of the permission audit; without these it says "not checked".
          'Microsoft.Authorization/roleAssignments/read'
          'Microsoft.Authorization/roleDefinitions/read'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
  }
}

resource onboarding 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, deployment, 'onboarding')
  properties: {
    roleName: 'Key Broker Onboarding (${deployment})'
    description: 'Creates or imports keys and copies them to the standby vault. Cannot use, change or delete one.'
    type: 'CustomRole'
    assignableScopes: [ subscription().id ]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/read'
          'Microsoft.KeyVault/vaults/keys/create/action'
          'Microsoft.KeyVault/vaults/keys/import/action'
          'Microsoft.KeyVault/vaults/keys/backup/action'
          'Microsoft.KeyVault/vaults/keys/restore/action'
        ]
        notDataActions: []
      }
    ]
  }
}

output brokerRoleId string = broker.id
output controlPlaneReaderRoleId string = controlPlaneReader.id
output onboardingRoleId string = onboarding.id
