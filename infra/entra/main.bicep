extension microsoftGraphV1

// Who may call: the app registration of the broker and its three roles. Apart from the rest, since it needs rights in Entra that deployers
// of Azure resources seldom have, and restores the Graph extension from Microsoft's registry. entra.sh makes the same by the CLI.

@description('Name of the deployment, as in ../main.bicep.')
@minLength(2)
@maxLength(12)
param environmentName string

// Fixed ids, so that a second run changes the roles and does not add them again.
var roles = [
  {
    id: '7a6d9c1e-0c5b-4a52-9d0e-0d5c9a6f2b11'
    value: 'KeyBroker.Host'
    displayName: 'Database host'
    description: 'Wraps and unwraps for the one server whose principal the caller is.'
    allowedMemberTypes: [ 'Application' ]
    isEnabled: true
  }
  {
    id: 'c2f4e3b8-6a1d-4e0f-8b7a-3f1e5d2c9a22'
    value: 'KeyBroker.Operator'
    displayName: 'Operator'
    description: 'Registers, changes and revalidates; no key operations.'
    allowedMemberTypes: [ 'User', 'Application' ]
    isEnabled: true
  }
  {
    id: 'e9b1d7a4-2f3c-4b6e-a5d8-8c0b7e4f1d33'
    value: 'KeyBroker.Auditor'
    displayName: 'Auditor'
    description: 'Reads states, audits, events and records.'
    allowedMemberTypes: [ 'User', 'Application' ]
    isEnabled: true
  }
]

resource app 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: 'key-operations-broker-${environmentName}'
  displayName: 'Key broker ${environmentName}'
  signInAudience: 'AzureADMyOrg'
  api: { requestedAccessTokenVersion: 2 }
  appRoles: roles
}

resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: app.appId
  // Without a role no token: otherwise any application of the tenant could ask for one.
  appRoleAssignmentRequired: true
}

output BROKER_AUTH_CLIENT_ID string = app.appId
output BROKER_SERVICE_PRINCIPAL_ID string = principal.id
