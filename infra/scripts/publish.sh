#!/usr/bin/env bash
# Publishes the package to both apps without azd: the standby region first, so that a broken package never reaches both.
# Usage: publish.sh <deployment name of `az deployment sub create`> [zip]
set -euo pipefail

deployment="${1:?usage: publish.sh <deployment> [zip]}"
package="${2:-dist/package/key-operations-broker.zip}"
# Resource Manager changes the case of output names on their way back, so they are compared without it.
outputs="$(az deployment sub show --name "$deployment" --query properties.outputs --output json)"
output() {
  node -e 'const [name, json] = process.argv.slice(1);
    const found = Object.entries(JSON.parse(json)).find(([key]) => key.toUpperCase() === name);
    if (!found) { console.error(`the deployment has no output ${name}`); process.exit(1); }
    console.log(found[1].value);' "$1" "$outputs"
}

for which in SECONDARY PRIMARY; do
  app="$(output "BROKER_${which}_APP")"
  group="$(az functionapp list --query "[?name=='$app'].resourceGroup | [0]" --output tsv)"
  az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$package"
  # An empty AzureWebJobsStorage, which some tools add, makes the host ask for a connection string and fail.
  if [ -n "$(az functionapp config appsettings list --resource-group "$group" --name "$app" --query "[?name=='AzureWebJobsStorage'].name" --output tsv)" ]; then
    az functionapp config appsettings delete --resource-group "$group" --name "$app" --setting-names AzureWebJobsStorage --output none
  fi
done

endpoint="$(output BROKER_ENDPOINT)"
for _ in $(seq 60); do
  if curl -fsS "$endpoint/readyz"; then echo; exit 0; fi
  sleep 5
done
echo "$endpoint/readyz does not answer: curl it to see what is missing" >&2
exit 1
