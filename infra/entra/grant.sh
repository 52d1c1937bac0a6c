#!/usr/bin/env bash
# Gives a managed identity, application, user or group a role of the broker.
# Usage: grant.sh <client id of the broker's app> <object id of the caller> <Host|Operator|Auditor>
set -euo pipefail

app_id="${1:?usage: grant.sh <appId> <objectId> <Host|Operator|Auditor>}"
principal="${2:?object id of the caller is missing}"
role="KeyBroker.${3:?role is missing: Host, Operator or Auditor}"

resource="$(az ad sp show --id "$app_id" --query id --output tsv)"
role_id="$(az ad sp show --id "$app_id" --query "appRoles[?value=='$role'].id | [0]" --output tsv)"
[ -n "$role_id" ] || { echo "the app has no role $role" >&2; exit 1; }

az rest --method POST --url "https://graph.microsoft.com/v1.0/servicePrincipals/$resource/appRoleAssignedTo" \
  --headers 'content-type=application/json' \
  --body "{\"principalId\":\"$principal\",\"resourceId\":\"$resource\",\"appRoleId\":\"$role_id\"}"
