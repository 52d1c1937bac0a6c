param name string
param tags object
param emails string[]
param webhooks string[]

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'keybroker'
    enabled: true
    emailReceivers: [for (address, i) in emails: { name: 'mail-${i}', emailAddress: trim(address), useCommonAlertSchema: true }]
    webhookReceivers: [for (address, i) in webhooks: { name: 'webhook-${i}', serviceUri: trim(address), useCommonAlertSchema: true }]
  }
}

output id string = group.id
