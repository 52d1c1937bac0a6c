import { idOf, retentionDays, type DeletedKey, type KeyVersion, type Recovery } from './keys.ts';

/** What a vault's key bundles say of the vault. */
export interface BundleWorld extends Recovery {
  readonly uri: string;
}

/** The body of get, create, update, restore and recover (facts, key-vault-behaviour 7.1). Times on the wire are in seconds. */
export function keyBundle(world: BundleWorld, key: KeyVersion) {
  const { hsm, material, keyOps, tags } = key;
  return {
    key: { kid: idOf(world.uri, key), kty: hsm ? 'RSA-HSM' : 'RSA', key_ops: keyOps, n: material.n, e: material.e },
    attributes: attributes(world, key),
    ...(tags && { tags }),
  };
}

/** The same for a deleted key, with its way back. */
export function deletedBundle(world: BundleWorld, deleted: DeletedKey) {
  return { ...deletion(world, deleted), ...keyBundle(world, deleted.latest) };
}

/** A row of a list. The list of keys has ids without version. */
export function keyItem(world: BundleWorld, key: KeyVersion, versioned: boolean) {
  const kid = versioned ? idOf(world.uri, key) : `${world.uri}/keys/${key.name}`;
  return { kid, attributes: attributes(world, key), ...(key.tags && { tags: key.tags }) };
}

export function deletedItem(world: BundleWorld, deleted: DeletedKey) {
  return { ...deletion(world, deleted), ...keyItem(world, deleted.latest, false) };
}

/** The policy that every key has until someone sets another: warn 30 days before the key expires. */
export function rotationPolicy(world: BundleWorld, first: KeyVersion) {
  return {
    id: `${world.uri}/keys/${first.name}/rotationpolicy`,
    lifetimeActions: [{ trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } }],
    attributes: { created: seconds(first.created), updated: seconds(first.created) },
  };
}

function deletion({ uri }: BundleWorld, { latest, deletedAt, purgeAt }: DeletedKey) {
  return { recoveryId: `${uri}/deletedkeys/${latest.name}`, deletedDate: seconds(deletedAt), scheduledPurgeDate: seconds(purgeAt) };
}

function attributes(world: BundleWorld, { enabled, notBefore, expires, created, updated, hsm }: KeyVersion) {
  return {
    enabled,
    ...(notBefore !== null && { nbf: seconds(notBefore) }),
    ...(expires !== null && { exp: seconds(expires) }),
    created: seconds(created),
    updated: seconds(updated),
    recoveryLevel: recoveryLevel(world),
    ...(world.softDelete && { recoverableDays: retentionDays }),
    exportable: false,
    hsmPlatform: hsm ? '2' : '0',
  };
}

function recoveryLevel({ softDelete, purgeProtection }: Recovery): string {
  if (!softDelete) return 'Purgeable';
  return purgeProtection ? 'Recoverable' : 'Recoverable+Purgeable';
}

function seconds(ms: number): number {
  return ms / 1000;
}
