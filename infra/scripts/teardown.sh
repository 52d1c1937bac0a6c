#!/usr/bin/env bash
# Takes a deployment down. The vaults stay recoverable, and their names taken, for 90 days: purge protection has no exception.
# Usage: teardown.sh <environmentName>
set -euo pipefail

name="${1:?usage: teardown.sh <environmentName>}"
groups="$(az group list --tag "azd-env-name=$name" --query '[].name' --output tsv)"
[ -n "$groups" ] || { echo "no resource group has the tag azd-env-name=$name" >&2; exit 1; }

echo 'This removes the locks and deletes:'
echo "$groups"
printf 'Databases whose keys lie in these vaults go offline within 10 minutes. Type the name of the deployment to go on: '
read -r answer
[ "$answer" = "$name" ] || { echo 'nothing was changed' >&2; exit 1; }

for group in $groups; do
  for lock in $(az lock list --resource-group "$group" --query '[].id' --output tsv); do az lock delete --ids "$lock"; done
done
for group in $groups; do az group delete --name "$group" --yes; done

for role in 'Key Broker' 'Key Broker Control Plane Reader' 'Key Broker Onboarding'; do
  for assignment in $(az role assignment list --all --role "$role ($name)" --query '[].id' --output tsv); do
    az role assignment delete --ids "$assignment"
  done
  az role definition delete --name "$role ($name)"
done
