param name string
param tags object
param workspaceId string

// Before the apps, which let in this profile alone and must know its id.
resource profile 'Microsoft.Cdn/profiles@2025-06-01' = {
  name: name
  location: 'global'
  tags: tags
  sku: { name: 'Standard_AzureFrontDoor' }
  properties: { originResponseTimeoutSeconds: 240 }
}

resource endpoint 'Microsoft.Cdn/profiles/afdEndpoints@2025-06-01' = {
  parent: profile
  name: name
  location: 'global'
  tags: tags
  properties: { enabledState: 'Enabled' }
}

// Health of the origins; no access log, which would repeat what the broker's own records say.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'health'
  scope: profile
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'FrontDoorHealthProbeLog', enabled: true }
    ]
  }
}

output profileName string = profile.name
output endpointName string = endpoint.name
output endpointHost string = endpoint.properties.hostName
output frontDoorId string = profile.properties.frontDoorId
