param profileName string
param endpointName string

@description('Host names of the apps, the primary first.')
param hosts string[]

resource profile 'Microsoft.Cdn/profiles@2025-06-01' existing = {
  name: profileName
}

resource endpoint 'Microsoft.Cdn/profiles/afdEndpoints@2025-06-01' existing = {
  parent: profile
  name: endpointName
}

resource group 'Microsoft.Cdn/profiles/originGroups@2025-06-01' = {
  parent: profile
  name: 'apps'
  properties: {
    // A vault that is down makes no app unready: that is what the standby is for. See /readyz.
    healthProbeSettings: { probePath: '/readyz', probeProtocol: 'Https', probeRequestType: 'GET', probeIntervalInSeconds: 30 }
    loadBalancingSettings: { sampleSize: 4, successfulSamplesRequired: 2, additionalLatencyInMilliseconds: 0 }
    sessionAffinityState: 'Disabled'
  }
}

resource origin 'Microsoft.Cdn/profiles/originGroups/origins@2025-06-01' = [for (host, i) in hosts: {
  parent: group
  name: 'app-${i}'
  properties: {
    hostName: host
    originHostHeader: host
    httpsPort: 443
    enabledState: 'Enabled'
    enforceCertificateNameCheck: true
    // The app beside the vault; the other one only while that is unready.
    priority: i + 1
    weight: 1000
  }
}]

resource route 'Microsoft.Cdn/profiles/afdEndpoints/routes@2025-06-01' = {
  parent: endpoint
  name: 'all'
  properties: {
    originGroup: { id: group.id }
    supportedProtocols: [ 'Https' ]
    httpsRedirect: 'Disabled'
    forwardingProtocol: 'HttpsOnly'
    linkToDefaultDomain: 'Enabled'
    patternsToMatch: [ '/*' ]
    enabledState: 'Enabled'
    // No cacheConfiguration: nothing that a key service answers may be kept anywhere.
  }
  dependsOn: [ origin ]
}
