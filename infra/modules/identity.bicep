param name string
param location string
param tags object

// One identity for both apps: a right that is revoked is revoked in both regions.
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'keep'
  scope: identity
  properties: { level: 'CanNotDelete', notes: 'Without this identity no database that depends on the broker can be unlocked.' }
}

output id string = identity.id
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
