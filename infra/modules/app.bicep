param name string
param location string
param tags object

@description('{nodeVersion, instanceMemoryMB, maximumInstanceCount, alwaysReady, zoneRedundant}')
param shape object

@description('{subnetId, isPublic, frontDoorId, callerRanges}; an empty subnetId: no network of its own.')
param reach object

@description('{id, clientId, serverIds}')
param identity object

@description('{account, packages}: name of the host\'s account, and where the package lies.')
param host object

param insightsConnectionString string
param deployment string

@description('{stateEndpoint, audience, controlPlaneEndpoint, webhooks, settings}')
param broker object

var frontDoorRule = empty(reach.frontDoorId) ? [] : [
  {
    name: 'front-door'
    priority: 100
    action: 'Allow'
    tag: 'ServiceTag'
    ipAddress: 'AzureFrontDoor.Backend'
    headers: { 'x-azure-fdid': [ reach.frontDoorId ] }
  }
]
var rangeRules = map(range(0, length(reach.callerRanges)), i => {
  name: 'caller-${i}'
  priority: 200 + i
  action: 'Allow'
  ipAddress: reach.callerRanges[i]
})

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: shape.zoneRedundant }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: toObject(concat([ identity.id ], identity.serverIds), id => id, id => {})
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identity.id
    publicNetworkAccess: reach.isPublic ? 'Enabled' : 'Disabled'
    virtualNetworkSubnetId: empty(reach.subnetId) ? null : reach.subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      ipSecurityRestrictionsDefaultAction: 'Deny'
      ipSecurityRestrictions: concat(frontDoorRule, rangeRules)
      // Publishing takes Entra tokens only (below). It must be reached from where one deploys.
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: 'Allow'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: host.packages
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id }
        }
      }
      runtime: { name: 'node', version: shape.nodeVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: shape.instanceMemoryMB
        maximumInstanceCount: shape.maximumInstanceCount
        alwaysReady: shape.alwaysReady == 0 ? [] : [
          { name: 'http', instanceCount: shape.alwaysReady }
        ]
        // A request waits for the vault most of its time; fewer instances mean fewer leases and fewer circuits to agree (B3, F2).
        triggers: { http: { perInstanceConcurrency: 200 } }
      }
    }
  }
}

// A name that is set but empty counts as absent for the broker, but not for the host: an empty AzureWebJobsStorage would stop it.
resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union({
    AzureWebJobsStorage__accountName: host.account
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identity.clientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
    APPLICATION_INSIGHTS_NO_STATSBEAT: 'true'
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.clientId};Authorization=AAD'
    KEYBROKER_DEPLOYMENT: 'urn:keybroker:${deployment}'
    KEYBROKER_TENANT_ID: tenant().tenantId
    KEYBROKER_ISSUER: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    KEYBROKER_AUDIENCE: broker.audience
    KEYBROKER_STORE_ENDPOINT: broker.stateEndpoint
    KEYBROKER_IDENTITY_CLIENT_ID: identity.clientId
    KEYBROKER_CONTROL_PLANE_ENDPOINT: broker.controlPlaneEndpoint
    KEYBROKER_WEBHOOKS: broker.webhooks
    KEYBROKER_VAULT_HOST_SUFFIXES: '${environment().suffixes.keyvaultDns},.managedhsm.azure.net'
  }, broker.settings)
}

resource noPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = [for way in [ 'ftp', 'scm' ]: {
  parent: app
  name: way
  properties: { allow: false }
}]

output id string = app.id
output name string = app.name
output host string = app.properties.defaultHostName
