#!/usr/bin/env bash
# Makes a key in the primary vault, backs it up before its first use and restores it in the secondary vault; then compares the two.
# Usage: create-key.sh <primary vault> <secondary vault> <key name> [2048|3072]
# Needs the role "Key Broker Onboarding" on both vaults. Private vaults are reached only from inside their network.
#
# Rotation: run it with a NEW name. A further version of an old name could not be copied: restore refuses a name that exists, and purge
# protection keeps the name for 90 days.
set -euo pipefail

primary="${1:?usage: create-key.sh <primary> <secondary> <key> [2048|3072]}"
secondary="${2:?secondary vault is missing}"
key="${3:?key name is missing}"
size="${4:-2048}"

case "$size" in 2048 | 3072) ;; *) echo 'the size must be 2048 or 3072 (K2)' >&2; exit 1 ;; esac
for vault in "$primary" "$secondary"; do
  if [ $((${#vault} + ${#key})) -gt 94 ]; then echo "$vault/$key: vault and key name have more than 94 characters (K2)" >&2; exit 1; fi
done

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

if ! az keyvault key show --vault-name "$primary" --name "$key" --output none 2>/dev/null; then
  az keyvault key create --vault-name "$primary" --name "$key" --kty RSA-HSM --size "$size" --ops wrapKey unwrapKey --output none
fi
# A backup is encrypted for its subscription and geography: nothing else can read it.
az keyvault key backup --vault-name "$primary" --name "$key" --file "$folder/key.backup"
az keyvault key restore --vault-name "$secondary" --file "$folder/key.backup" --output none

modulus() { az keyvault key show --vault-name "$1" --name "$key" --query key.n --output tsv; }
if [ "$(modulus "$primary")" != "$(modulus "$secondary")" ]; then
  echo 'the two keys differ: do not use them' >&2
  exit 1
fi

# The secondary first (K4): the broker proves both before it stores either.
for vault in "$secondary" "$primary"; do
  az keyvault key show --vault-name "$vault" --name "$key" --query key.kid --output tsv
done
