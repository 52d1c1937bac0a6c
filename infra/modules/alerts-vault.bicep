// What Azure counts at one vault, whoever calls it. A rule over several vaults would need them in one region.

param vaultName string
param vaultId string
param actionGroupId string

var rules = [
  {
    id: 'throttled'
    title: 'The vault answers 429'
    severity: 2
    metric: 'ServiceApiResult'
    aggregation: 'Count'
    threshold: 0
    dimensions: [
      { name: 'StatusCode', operator: 'Include', values: [ '429' ] }
    ]
    action: 'The broker stays below the limits of the service, so somebody else uses this vault too: AZKVAuditLogs names the callers. Move them to a vault of their own.'
  }
  {
    id: 'refused'
    title: 'The vault answers 403'
    severity: 1
    metric: 'ServiceApiResult'
    aggregation: 'Count'
    threshold: 0
    dimensions: [
      { name: 'StatusCode', operator: 'Include', values: [ '403' ] }
    ]
    action: 'Somebody is refused. If it is the broker (AZKVAuditLogs, latch alerts), restore its role, the key or the firewall rule now.'
  }
  {
    id: 'failing'
    title: 'The vault answers 5xx'
    severity: 2
    metric: 'ServiceApiResult'
    aggregation: 'Count'
    threshold: 5
    dimensions: [
      { name: 'StatusCodeClass', operator: 'Include', values: [ '5xx' ] }
    ]
    action: 'An outage begins or one is going on. The broker fails over by itself where F3 allows; look at Azure Service Health.'
  }
  {
    id: 'saturated'
    title: 'The vault is used to more than 80 % of what the service allows'
    severity: 2
    metric: 'SaturationShoebox'
    aggregation: 'Average'
    threshold: 80
    dimensions: [
      { name: 'TransactionType', operator: 'Include', values: [ 'vaultoperation' ] }
    ]
    action: 'GET /v1/vaults/{vault} shows the broker\'s own part of it. Put the next servers on another vault.'
  }
]

resource rule 'Microsoft.Insights/metricAlerts@2018-03-01' = [for one in rules: {
  name: '${vaultName}-${one.id}'
  location: 'global'
  properties: {
    description: '${one.title}. ${one.action}'
    severity: one.severity
    enabled: true
    scopes: [ vaultId ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: one.id
          metricNamespace: 'Microsoft.KeyVault/vaults'
          metricName: one.metric
          timeAggregation: one.aggregation
          operator: 'GreaterThan'
          threshold: one.threshold
          dimensions: one.dimensions
        }
      ]
    }
    actions: [
      { actionGroupId: actionGroupId }
    ]
  }
}]
