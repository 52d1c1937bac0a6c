// Alerts on what the broker and the vaults log. The query of each is a file in `alerts/`, checked against the lines that the app writes.

param name string
param location string
param tags object
param workspaceId string
param actionGroupId string

// severity 0 to 4: 1 wakes somebody, 2 is for today, 3 is for this week. A query looks back for
// `range`, and each value of the columns `by` is an alert of its own: a second server is not hidden by the first.
var rules = [
  {
    id: 'latch-confirmed'
    title: 'Access to a key was revoked'
    severity: 1
    range: 'PT10M'
    every: 'PT5M'
    query: loadTextContent('../alerts/latch-confirmed.kql')
    by: [ 'server' ]
    action: 'A vault has denied an unwrap twice, 30 s apart. If nobody meant it: restore the role assignment, key or firewall rule now; databases go inaccessible 10 minutes after the first denial. GET /v1/servers/{server}/keys names the link and the class of the denial.'
  }
  {
    id: 'server-at-risk'
    title: 'A server loses, or has lost, its databases'
    severity: 1
    range: 'PT10M'
    every: 'PT5M'
    query: loadTextContent('../alerts/server-at-risk.kql')
    by: [ 'server', 'state' ]
    action: 'atRisk: 10 minutes from the first denial. inaccessible: restored before healsUntil it heals by itself. needsRevalidation: restore access, then POST /v1/servers/{server}/revalidate.'
  }
  {
    id: 'circuit-open'
    title: 'A vault is down for more than 5 minutes'
    severity: 2
    range: 'P2D'
    every: 'PT5M'
    query: loadTextContent('../alerts/circuit-open.kql')
    by: [ 'vault' ]
    action: 'The standby serves what F3 allows. Look at Azure Service Health for the vault\'s region and at GET /v1/vaults/{vault}; do not change keys or rights during the outage: a denial forbids failover.'
  }
  {
    id: 'audit-overdue'
    title: 'No permission audit was completed for 7 hours'
    severity: 1
    range: 'P1D'
    every: 'PT30M'
    query: loadTextContent('../alerts/audit-overdue.kql')
    by: []
    action: 'Nobody is looking whether the servers can use their keys. POST /v1/audits runs one; if that fails, GET /readyz says what is missing; else look whether the timer permissionAudit runs in either app.'
  }
  {
    id: 'key-expiring'
    title: 'A key expires soon, or has expired'
    severity: 2
    range: 'P1D'
    every: 'PT6H'
    query: loadTextContent('../alerts/key-expiring.kql')
    by: [ 'keyId' ]
    action: 'After its expiry a key unwraps but wraps no more. Make the next key under a new name, copy it to the standby vault, then PUT /v1/servers/{server}/protector.'
  }
  {
    id: 'budget-tight'
    title: 'The budget of a vault is tight'
    severity: 2
    range: 'PT15M'
    every: 'PT15M'
    query: loadTextContent('../alerts/budget-tight.kql')
    by: [ 'subject' ]
    action: 'More than 80 % of a vault\'s budget is used, or it throttles. GET /v1/vaults/{vault} shows association and rate; put the next servers on another vault before a failover needs the room.'
  }
  {
    id: 'records-spilling'
    title: 'Operation records go to the log alone'
    severity: 2
    range: 'PT15M'
    every: 'PT15M'
    query: loadTextContent('../alerts/records-spilling.kql')
    by: [ 'instance' ]
    action: 'The state account has been away for so long that the queue of records is full. Key operations go on; failover and changes do not. Restore the account; the records of this time are in AppTraces, message "operation record".'
  }
  {
    id: 'events-waiting'
    title: 'Events wait for delivery for more than 15 minutes'
    severity: 2
    range: 'PT15M'
    every: 'PT15M'
    query: loadTextContent('../alerts/events-waiting.kql')
    by: [ 'webhook' ]
    action: 'A webhook receiver does not take events. GET /v1/status names it. Nothing is lost for three days; until then everything can be read by GET /v1/events.'
  }
  {
    id: 'error-lines'
    title: 'The broker reports errors'
    severity: 2
    range: 'PT15M'
    every: 'PT15M'
    query: loadTextContent('../alerts/error-lines.kql')
    by: [ 'message' ]
    action: 'The message says which: a wrong setting (GET /readyz lists every one), a denial that could not be stored (look at the state account), or a defect (report it with the frames of the line).'
  }
  {
    id: 'key-deleted'
    title: 'A key was deleted, purged or changed'
    severity: 1
    range: 'PT15M'
    every: 'PT5M'
    query: loadTextContent('../alerts/key-deleted.kql')
    by: [ 'RequestUri', 'OperationName' ]
    action: 'If nobody meant it: az keyvault key recover, or set enabled and the dates back. Vault logs come up to 10 minutes late.'
  }
]

resource rule 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for one in rules: {
  name: '${name}-${one.id}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: one.title
    description: one.action
    severity: one.severity
    enabled: true
    scopes: [ workspaceId ]
    evaluationFrequency: one.every
    windowSize: one.range == 'P2D' ? 'P1D' : one.range
    overrideQueryTimeRange: one.range
    // The tables do not exist before the first line is written.
    skipQueryValidation: true
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: one.query
          timeAggregation: 'Count'
          dimensions: map(one.by, column => { name: column, operator: 'Include', values: [ '*' ] })
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [ actionGroupId ] }
  }
}]
