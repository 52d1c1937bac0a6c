targetScope = 'subscription'

// One deployment: two regions with an app and a vault each, and what both share. Every name is made here, nowhere else.

@description('Name of this deployment; part of every name. Lower-case letters and digits.')
@minLength(2)
@maxLength(12)
param environmentName string

@description('Region of the first app and the first vault: that of the database servers.')
@metadata({ azd: { type: 'location' } })
param primaryLocation string

@description('Region of the second app and the standby vault: another one of the same geography (K1).')
param secondaryLocation string

@description('Region of the state account: neither of the two, so that one failure cannot take a vault and the state (design section 6).')
param stateLocation string

@description('Client id of the app registration that `entra/` makes: the audience of access tokens.')
@minLength(36)
@maxLength(36)
param authClientId string

@description('Who is told of alerts: mail addresses, separated by commas. At least one address or one webhook.')
param alertEmails string = ''

@description('Who is told of alerts: https addresses that take the common alert schema, separated by commas.')
param alertWebhooks string = ''

@description('private: vaults and accounts are reached by private endpoints only. public: their firewalls stand open, and identities alone protect them.')
@allowed([
  'private'
  'public'
])
param network string = 'private'

@description('frontDoor: one public address for both apps. none: the apps are reached by private endpoints, and by callerRanges.')
@allowed([
  'frontDoor'
  'none'
])
param entry string = 'frontDoor'

@description('Address spaces of the two regions (network private): /24 or larger, overlapping with nothing that will be peered.')
@minLength(2)
@maxLength(2)
param addressSpaces string[] = [
  '10.64.0.0/24'
  '10.64.1.0/24'
]

@description('IPv4 ranges that may call the apps at their own addresses, past Front Door.')
param callerRanges string[] = []

@description('vault: two Key Vaults (premium). managedHsm: two Managed HSM pools, which must be activated by hand.')
@allowed([
  'vault'
  'managedHsm'
])
param vaultKind string = 'vault'

@description('Object ids of the people who activate and administer the Managed HSM pools.')
param hsmAdministratorIds string[] = []

@description('Object id of the Entra group whose members bring keys (create, import, backup, restore). Empty: nobody gets that role.')
param onboardingGroupId string = ''

@description('Identities with which the broker calls the vaults for single servers, beside its own: {id, principalId} each.')
param serverIdentities array = []

@description('Whether the broker may ask the control plane if a vault was deleted before it believes in an outage (F9), and audit who may do what at it (P1).')
param readControlPlane bool = true

@description('Name of a first key to make in the primary vault. Empty: keys are made by scripts/create-key.sh.')
@maxLength(127)
param firstKeyName string = ''

@description('Size of the first key (K2): 2048 for MySQL and PostgreSQL.')
@allowed([
  2048
  3072
])
param firstKeySize int = 2048

@description('Node.js of the apps.')
@allowed([
  '22'
  '24'
])
param nodeVersion string = '24'

@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Bound of each app. The budgets of the vaults hold over all instances together (B3).')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Instances that always run in each region: one spares the first unwrap after a quiet hour a cold start.')
@minValue(0)
@maxValue(20)
param alwaysReady int = 1

param zoneRedundant bool = false

@description('Copies of the state account. GZRS keeps one in a fourth region, behind by minutes: see README before failing over to it.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param stateRedundancy string = 'Standard_GZRS'

@description('Days for which logs are kept.')
@minValue(90)
@maxValue(730)
param logRetentionDays int = 90

@description('Secret of a vault of yours whose value is KEYBROKER_WEBHOOKS: it holds the signing keys, so no template may see it. Empty: no webhooks.')
param webhooksSecretUri string = ''

@description('Further settings of the broker by name (README, table of settings): the numbers of the laws.')
param settings object = {}

param tags object = {}

// What no decorator can say. Each checked value is used below, so that no deployment passes by its check.

var geographies = loadJsonContent('geographies.json')
var geography = geographies[?toLower(primaryLocation)] ?? fail('primaryLocation must be an Azure region by its short name, such as westeurope.')
var standbyGeography = geographies[?toLower(secondaryLocation)] ?? fail('secondaryLocation must be an Azure region by its short name, such as northeurope.')
var stateGeography = geographies[?toLower(stateLocation)] ?? fail('stateLocation must be an Azure region by its short name, such as swedencentral.')

var appRegion = toLower(primaryLocation) == toLower(secondaryLocation) ? fail('secondaryLocation must be another region than primaryLocation: a standby in the same region fails with it (K1).') : toLower(primaryLocation)
var standbyRegion = geography == standbyGeography ? toLower(secondaryLocation) : fail('secondaryLocation must lie in the geography of primaryLocation: a key cannot be restored in another one (K1).')
var stateRegion = contains([ appRegion, standbyRegion ], toLower(stateLocation)) ? fail('stateLocation must be neither primaryLocation nor secondaryLocation: vault and state must not fail together (design section 6).') : toLower(stateLocation)

var name = environmentName == toLower(replace(environmentName, '-', '')) ? environmentName : fail('environmentName must be lower-case letters and digits only: storage accounts take nothing else.')
var receivers = empty(alertEmails) && empty(alertWebhooks) ? fail('alertEmails or alertWebhooks must name somebody: an alert that nobody hears is none.') : { emails: empty(alertEmails) ? [] : split(alertEmails, ','), webhooks: empty(alertWebhooks) ? [] : split(alertWebhooks, ',') }
var hsmAdministrators = vaultKind == 'managedHsm' && empty(hsmAdministratorIds) ? fail('hsmAdministratorIds must name at least one person: nobody else could activate the pools.') : hsmAdministratorIds
var isPrivate = network == 'private'
var isHsm = vaultKind == 'managedHsm'

var token = take(uniqueString(subscription().id, name, appRegion), 6)
var letters = [ 'a', 'b' ]
var vaultNames = [ 'kv-${name}-${token}-a', 'kv-${name}-${token}-b' ]
var firstKey = length(vaultNames[0]) + length(firstKeyName) > 94 ? fail('firstKeyName is too long: the names of vault and key may have 94 characters together (K2).') : firstKeyName

var locations = [ appRegion, standbyRegion ]
var allTags = union(tags, { 'azd-env-name': name, geography: geography, 'state-geography': stateGeography })

resource sharedGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${name}'
  location: stateRegion
  tags: allTags
}

// Apart from the apps: a mistake in their groups cannot reach the keys.
resource keysGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${name}-keys'
  location: appRegion
  tags: allTags
}

resource appGroups 'Microsoft.Resources/resourceGroups@2025-04-01' = [for location in locations: {
  name: 'rg-${name}-${location}'
  location: location
  tags: allTags
}]

module roles 'modules/roles.bicep' = {
  name: 'roles'
  params: { deployment: name }
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: keysGroup
  params: { name: 'id-${name}', location: appRegion, tags: allTags }
}

module controlPlane 'modules/control-plane-access.bicep' = if (readControlPlane) {
  name: 'control-plane-access'
  params: { principalId: identity.outputs.principalId, roleId: roles.outputs.controlPlaneReaderRoleId }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: sharedGroup
  params: {
    name: name
    location: stateRegion
    tags: allTags
    logRetentionDays: logRetentionDays
    principalId: identity.outputs.principalId
  }
}

module actionGroup 'modules/action-group.bicep' = {
  name: 'action-group'
  scope: sharedGroup
  params: { name: 'ag-${name}', tags: allTags, emails: receivers.emails, webhooks: receivers.webhooks }
}

module vaults 'modules/vault.bicep' = [for (location, i) in locations: if (!isHsm) {
  name: 'vault-${i}'
  scope: keysGroup
  params: {
    name: vaultNames[i]
    location: location
    tags: allTags
    isPrivate: isPrivate
    firstKeyName: i == 0 ? firstKey : ''
    firstKeySize: firstKeySize
  }
}]

module vaultAccess 'modules/vault-access.bicep' = [for (location, i) in locations: if (!isHsm) {
  name: 'vault-access-${i}'
  scope: keysGroup
  params: {
    vaultName: vaults[i]!.outputs.name
    workspaceId: monitoring.outputs.workspaceId
    actionGroupId: actionGroup.outputs.id
    brokerRoleId: roles.outputs.brokerRoleId
    brokerPrincipalIds: concat([ identity.outputs.principalId ], map(serverIdentities, one => one.principalId))
    onboardingRoleId: roles.outputs.onboardingRoleId
    onboardingGroupId: onboardingGroupId
  }
}]

module pools 'modules/managed-hsm.bicep' = [for (location, i) in locations: if (isHsm) {
  name: 'managed-hsm-${i}'
  scope: keysGroup
  params: {
    name: vaultNames[i]
    location: location
    tags: allTags
    isPrivate: isPrivate
    administratorIds: hsmAdministrators
    workspaceId: monitoring.outputs.workspaceId
  }
}]

var primaryVaultId = isHsm ? pools[0]!.outputs.id : vaults[0]!.outputs.id
var secondaryVaultId = isHsm ? pools[1]!.outputs.id : vaults[1]!.outputs.id

module state 'modules/state.bicep' = {
  name: 'state'
  scope: sharedGroup
  params: {
    name: 'st${name}s${token}'
    location: stateRegion
    tags: allTags
    redundancy: stateRedundancy
    isPrivate: isPrivate
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module frontDoor 'modules/front-door.bicep' = if (entry == 'frontDoor') {
  name: 'front-door'
  scope: sharedGroup
  params: { name: 'afd-${name}', tags: allTags, workspaceId: monitoring.outputs.workspaceId }
}

module regions 'modules/region.bicep' = [for (location, i) in locations: {
  name: 'region-${i}'
  scope: appGroups[i]
  params: {
    names: {
      deployment: name
      app: 'func-${name}-${token}-${letters[i]}'
      account: 'st${name}h${token}${letters[i]}'
      service: i == 0 ? 'primary' : 'secondary'
    }
    location: location
    tags: allTags
    shape: {
      nodeVersion: nodeVersion
      instanceMemoryMB: instanceMemoryMB
      maximumInstanceCount: maximumInstanceCount
      alwaysReady: alwaysReady
      zoneRedundant: zoneRedundant
    }
    reach: {
      isPrivate: isPrivate
      addressSpace: addressSpaces[i]
      isPublic: entry == 'frontDoor' || !empty(callerRanges)
      frontDoorId: entry == 'frontDoor' ? frontDoor!.outputs.frontDoorId : ''
      callerRanges: callerRanges
      vaultIds: [ primaryVaultId, secondaryVaultId ]
      vaultGroup: isHsm ? 'managedhsm' : 'vault'
      vaultZone: isHsm ? 'privatelink.managedhsm.azure.net' : 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
      stateId: state.outputs.id
    }
    identity: {
      id: identity.outputs.id
      clientId: identity.outputs.clientId
      principalId: identity.outputs.principalId
      serverIds: map(serverIdentities, one => one.id)
    }
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    broker: {
      stateEndpoint: state.outputs.tableEndpoint
      audience: '${authClientId},api://${authClientId}'
      controlPlaneEndpoint: readControlPlane ? environment().resourceManager : ''
      webhooks: empty(webhooksSecretUri) ? '' : '@Microsoft.KeyVault(SecretUri=${webhooksSecretUri})'
      settings: settings
    }
  }
}]

module routes 'modules/front-door-routes.bicep' = if (entry == 'frontDoor') {
  name: 'front-door-routes'
  scope: sharedGroup
  params: {
    profileName: frontDoor!.outputs.profileName
    endpointName: frontDoor!.outputs.endpointName
    hosts: [ regions[0].outputs.host, regions[1].outputs.host ]
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: sharedGroup
  params: {
    name: name
    location: stateRegion
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    actionGroupId: actionGroup.outputs.id
  }
}

module keyAlerts 'modules/alerts-activity.bicep' = {
  name: 'alerts-activity'
  scope: keysGroup
  params: { name: name, tags: allTags, actionGroupId: actionGroup.outputs.id }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: sharedGroup
  params: { name: name, location: stateRegion, tags: allTags, workspaceId: monitoring.outputs.workspaceId }
}

output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = sharedGroup.name
output AZURE_KEYS_RESOURCE_GROUP string = keysGroup.name
output BROKER_ENDPOINT string = entry == 'frontDoor' ? 'https://${frontDoor!.outputs.endpointHost}' : 'https://${regions[0].outputs.host}'
output BROKER_PRIMARY_ENDPOINT string = 'https://${regions[0].outputs.host}'
output BROKER_SECONDARY_ENDPOINT string = 'https://${regions[1].outputs.host}'
output BROKER_PRIMARY_APP string = regions[0].outputs.appName
output BROKER_SECONDARY_APP string = regions[1].outputs.appName
output BROKER_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output BROKER_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output BROKER_ROLE_ID string = roles.outputs.brokerRoleId
output KEY_VAULT_PRIMARY_NAME string = vaultNames[0]
output KEY_VAULT_SECONDARY_NAME string = vaultNames[1]
output KEY_VAULT_PRIMARY_URI string = isHsm ? pools[0]!.outputs.uri : vaults[0]!.outputs.uri
output KEY_VAULT_SECONDARY_URI string = isHsm ? pools[1]!.outputs.uri : vaults[1]!.outputs.uri
output STATE_TABLE_ENDPOINT string = state.outputs.tableEndpoint
output LOG_ANALYTICS_WORKSPACE_ID string = monitoring.outputs.workspaceId
