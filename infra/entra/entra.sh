#!/usr/bin/env bash
# The app registration of the broker by the Azure CLI: the same as main.bicep, for those who cannot restore the Graph extension.
# Usage: entra.sh <environmentName>. Safe to run again. Needs the Entra role Application Administrator or Cloud Application Administrator.
set -euo pipefail

name="${1:?usage: entra.sh <environmentName>}"
display="Key broker $name"
roles="$(mktemp)"
trap 'rm -f "$roles"' EXIT
cat >"$roles" <<'JSON'
[
  {
    "id": "7a6d9c1e-0c5b-4a52-9d0e-0d5c9a6f2b11",
    "value": "KeyBroker.Host",
    "displayName": "Database host",
    "description": "Wraps and unwraps for the one server whose principal the caller is.",
    "allowedMemberTypes": ["Application"],
    "isEnabled": true
  },
  {
    "id": "c2f4e3b8-6a1d-4e0f-8b7a-3f1e5d2c9a22",
    "value": "KeyBroker.Operator",
    "displayName": "Operator",
    "description": "Registers, changes and revalidates; no key operations.",
    "allowedMemberTypes": ["User", "Application"],
    "isEnabled": true
  },
  {
    "id": "e9b1d7a4-2f3c-4b6e-a5d8-8c0b7e4f1d33",
    "value": "KeyBroker.Auditor",
    "displayName": "Auditor",
    "description": "Reads states, audits, events and records.",
    "allowedMemberTypes": ["User", "Application"],
    "isEnabled": true
  }
]
JSON

app_id="$(az ad app list --filter "displayName eq '$display'" --query '[0].appId' --output tsv)"
if [ -z "$app_id" ]; then
  app_id="$(az ad app create --display-name "$display" --sign-in-audience AzureADMyOrg --query appId --output tsv)"
fi
az ad app update --id "$app_id" --app-roles "@$roles" --identifier-uris "api://$app_id" --set api='{"requestedAccessTokenVersion":2}'

az ad sp show --id "$app_id" --output none 2>/dev/null || az ad sp create --id "$app_id" --output none
az ad sp update --id "$app_id" --set appRoleAssignmentRequired=true

echo "$app_id"
