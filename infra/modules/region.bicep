// All that one region has: its app, the account of the app's host, and the network between them and the vaults.

@description('{deployment, app, account, service}')
param names object
param location string
param tags object

@description('{nodeVersion, instanceMemoryMB, maximumInstanceCount, alwaysReady, zoneRedundant}')
param shape object

@description('{isPrivate, addressSpace, isPublic, frontDoorId, callerRanges, vaultIds, vaultGroup, vaultZone, stateId}')
param reach object

@description('{id, clientId, principalId, serverIds}')
param identity object

param insightsConnectionString string

@description('{stateEndpoint, audience, controlPlaneEndpoint, webhooks, settings}')
param broker object

var storageSuffix = environment().suffixes.storage

module host 'host-account.bicep' = {
  name: 'host-account'
  params: { name: names.account, location: location, tags: tags, isPrivate: reach.isPrivate, principalId: identity.principalId }
}

module network 'network.bicep' = if (reach.isPrivate) {
  name: 'network'
  params: {
    name: 'vnet-${names.deployment}-${location}'
    location: location
    tags: tags
    addressSpace: reach.addressSpace
    zones: [ reach.vaultZone, 'privatelink.table.${storageSuffix}', 'privatelink.blob.${storageSuffix}', 'privatelink.azurewebsites.net' ]
  }
}

var targets = [
  { name: 'vault-a', id: reach.vaultIds[0], group: reach.vaultGroup, zone: reach.vaultZone }
  { name: 'vault-b', id: reach.vaultIds[1], group: reach.vaultGroup, zone: reach.vaultZone }
  { name: 'state', id: reach.stateId, group: 'table', zone: 'privatelink.table.${storageSuffix}' }
  { name: 'host', id: resourceId('Microsoft.Storage/storageAccounts', names.account), group: 'blob', zone: 'privatelink.blob.${storageSuffix}' }
]

module endpoints 'private-endpoint.bicep' = [for target in targets: if (reach.isPrivate) {
  name: 'endpoint-${target.name}'
  params: {
    name: 'pe-${target.name}-${location}'
    location: location
    tags: tags
    subnetId: network!.outputs.endpointSubnetId
    target: { id: target.id, group: target.group, zone: target.zone }
  }
  dependsOn: [ host ]
}]

module app 'app.bicep' = {
  name: 'app'
  params: {
    name: names.app
    location: location
    tags: union(tags, { 'azd-service-name': names.service })
    shape: shape
    reach: {
      subnetId: reach.isPrivate ? network!.outputs.appSubnetId : ''
      isPublic: reach.isPublic
      frontDoorId: reach.frontDoorId
      callerRanges: reach.callerRanges
    }
    identity: { id: identity.id, clientId: identity.clientId, serverIds: identity.serverIds }
    host: { account: host.outputs.name, packages: host.outputs.packagesUrl }
    insightsConnectionString: insightsConnectionString
    deployment: names.deployment
    broker: broker
  }
  dependsOn: [ endpoints ]
}

module appEndpoint 'private-endpoint.bicep' = if (reach.isPrivate) {
  name: 'endpoint-app'
  params: {
    name: 'pe-app-${location}'
    location: location
    tags: tags
    subnetId: network!.outputs.endpointSubnetId
    target: { id: app.outputs.id, group: 'sites', zone: 'privatelink.azurewebsites.net' }
  }
}

output appName string = app.outputs.name
output host string = app.outputs.host
