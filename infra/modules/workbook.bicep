param name string
param location string
param tags object
param workspaceId string

// The figures of the status page over time: what the page shows now, this shows for the last day.
resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, name, 'fleet')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Key broker ${name}'
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: loadTextContent('../workbook.json')
  }
}
