import type { KeyVaultKey } from '@azure/keyvault-keys';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FleetVault } from '../local/vault/fleet.ts';
import { principal, startVaults, type Vaults } from '../support/vaults.ts';

let vaults: Vaults;
let west: FleetVault;
let north: FleetVault;

beforeAll(async () => {
  vaults = await startVaults();
  west = await vaults.addVault({ name: 'kv-west' });
  north = await vaults.addVault({ name: 'kv-north', region: 'northeurope', purgeProtection: false });
});
afterAll(() => vaults.close());

/** A client that makes each call at the vault: it has the key's id, but neither its material nor its dates. */
function remote(key: KeyVaultKey) {
  return vaults.cryptographyClient(key.id ?? '');
}

describe('the stock SDK against a local vault', () => {
  test('creates a key, reads it by version and as the newest', async () => {
    const client = vaults.keyClient(west);
    const made = await client.createRsaKey('created', { keySize: 3072, tags: { use: 'tde' } });
    expect(made.id).toMatch(new RegExp(`^${west.uri}/keys/created/[0-9a-f]{32}$`));
    const read = await client.getKey('created', { version: made.properties.version ?? '' });
    expect(read).toEqual(made);
    expect(await client.getKey('created')).toEqual(made);
    expect(made.key?.n).toHaveLength(384);
    expect(made.properties).toMatchObject({
      enabled: true,
      recoveryLevel: 'Recoverable',
      recoverableDays: 90,
      hsmPlatform: '0',
      tags: { use: 'tde' },
    });
  });

  test('K3: the recovery level tells soft delete and purge protection', async () => {
    const unprotected = await vaults.addVault({ name: 'kv-plain', softDelete: false });
    const levels = [];
    for (const vault of [west, north, unprotected]) {
      levels.push((await vaults.keyClient(vault).createRsaKey('level', { hsm: true })).properties.recoveryLevel);
    }
    expect(levels).toEqual(['Recoverable', 'Recoverable+Purgeable', 'Purgeable']);
  });

  test.each(['RSA-OAEP-256', 'RSA-OAEP', 'RSA1_5'] as const)('wraps and unwraps with %s', async (algorithm) => {
    const key = await vaults.keyClient(west).createRsaKey(`wrap-${algorithm.replace('_', '-')}`);
    const secret = randomBytes(32);
    const wrapped = await remote(key).wrapKey(algorithm, secret);
    const unwrapped = await remote(key).unwrapKey(algorithm, wrapped.result);
    expect(Buffer.from(unwrapped.result)).toEqual(secret);
    const plain = await remote(key).decrypt({
      algorithm,
      ciphertext: (await remote(key).encrypt({ algorithm, plaintext: secret })).result,
    });
    expect(Buffer.from(plain.result)).toEqual(secret);
  });

  test('signs and verifies', async () => {
    const key = await vaults.keyClient(west).createRsaKey('signer');
    const digest = randomBytes(48);
    const { result } = await remote(key).sign('RS384', digest);
    expect((await remote(key).verify('RS384', digest, result)).result).toBe(true);
    expect((await remote(key).verify('RS384', randomBytes(48), result)).result).toBe(false);
  });

  test('lists keys and versions over several pages', async () => {
    const vault = await vaults.addVault({ name: 'kv-list' });
    const client = vaults.keyClient(vault);
    for (const name of ['b', 'a', 'c', 'a']) await vault.createKey(name);
    const names = [];
    for await (const page of client.listPropertiesOfKeys().byPage({ maxPageSize: 2 })) names.push(page.map((key) => key.name));
    expect(names).toEqual([['a', 'b'], ['c']]);
    const versions = [];
    for await (const page of client.listPropertiesOfKeyVersions('a').byPage({ maxPageSize: 1 })) versions.push(...page);
    expect(new Set(versions.map(({ version }) => version)).size).toBe(2);
  });

  test('updates attributes, dates and operations of one version', async () => {
    const client = vaults.keyClient(west);
    const { properties } = await client.createRsaKey('updated');
    const expiresOn = new Date('2030-01-01T00:00:00Z');
    await client.updateKeyProperties('updated', properties.version ?? '', { enabled: false, expiresOn, keyOps: ['wrapKey'] });
    const read = await client.getKey('updated');
    expect(read.properties).toMatchObject({ enabled: false, expiresOn });
    expect(read.keyOperations).toEqual(['wrapKey']);
  });

  test('rotates: the new version wraps, the old one still unwraps', async () => {
    const client = vaults.keyClient(west);
    const before = await client.createRsaKey('rotated');
    const wrapped = await remote(before).wrapKey('RSA-OAEP-256', Buffer.from('a data encryption key'));
    const after = await client.rotateKey('rotated');
    expect(after.properties.version).not.toBe(before.properties.version);
    expect((await client.getKey('rotated')).id).toBe(after.id);
    await expect(remote(after).unwrapKey('RSA-OAEP-256', wrapped.result)).rejects.toMatchObject({ code: 'BadParameter' });
    expect(Buffer.from((await remote(before).unwrapKey('RSA-OAEP-256', wrapped.result)).result).toString()).toBe('a data encryption key');
    expect((await client.getKeyRotationPolicy('rotated')).lifetimeActions).toHaveLength(1);
  });

  test('backs up and restores all versions with their ids; the copy stands alone', async () => {
    const first = await vaults.keyClient(west).createRsaKey('moved');
    await vaults.keyClient(west).rotateKey('moved');
    const backup = await vaults.keyClient(west).backupKey('moved');
    expect(Buffer.from(backup ?? []).toString('latin1')).toMatch(/^&AzureKeyVaultKeyBackupV1\.microsoft\.com[\w-]+(\.[\w-]+){4}$/);
    const restored = await vaults.keyClient(north).restoreKeyBackup(backup ?? new Uint8Array());
    expect(restored.id).toBe((await vaults.keyClient(west).getKey('moved')).id?.replace(west.uri, north.uri));
    const wrapped = await remote(first).wrapKey('RSA-OAEP-256', Buffer.from('dek'));
    west.deleteKey('moved');
    const copy = await vaults.keyClient(north).getKey('moved', { version: first.properties.version ?? '' });
    expect(Buffer.from((await remote(copy).unwrapKey('RSA-OAEP-256', wrapped.result)).result).toString()).toBe('dek');
  });

  test('deletes, lists, recovers and purges', async () => {
    const client = vaults.keyClient(north);
    const made = await client.createRsaKey('deleted');
    await (await client.beginDeleteKey('deleted', { intervalInMs: 1 })).pollUntilDone();
    await expect(client.getKey('deleted')).rejects.toMatchObject({ statusCode: 404, code: 'KeyNotFound' });
    await expect(client.createRsaKey('deleted')).rejects.toMatchObject({ statusCode: 409 });
    expect((await client.getDeletedKey('deleted')).properties.recoveryId).toBe(`${north.uri}/deletedkeys/deleted`);
    const listed = [];
    for await (const { name } of client.listDeletedKeys()) listed.push(name);
    expect(listed).toEqual(['deleted']);
    await (await client.beginRecoverDeletedKey('deleted', { intervalInMs: 1 })).pollUntilDone();
    expect((await client.getKey('deleted')).id).toBe(made.id);
    await (await client.beginDeleteKey('deleted', { intervalInMs: 1 })).pollUntilDone();
    await client.purgeDeletedKey('deleted');
    await expect(client.getDeletedKey('deleted')).rejects.toMatchObject({ statusCode: 404 });
    await client.createRsaKey('deleted');
  });

  test('K3: purge protection forbids to purge, until the retention of 90 days has passed', async () => {
    const client = vaults.keyClient(west);
    await west.createKey('kept');
    west.deleteKey('kept');
    await expect(client.purgeDeletedKey('kept')).rejects.toMatchObject({ statusCode: 403 });
    vaults.clock.now += 90 * 86_400_000;
    // The client's token has expired by then, and the SDK does not renew one on a 401 of the same tenant.
    await expect(vaults.keyClient(west).getDeletedKey('kept')).rejects.toMatchObject({ statusCode: 404 });
  });

  test('serves a Managed HSM: challenge without a body, HSM keys only, no throttling', async () => {
    const pool = await vaults.addVault({ name: 'pool', kind: 'managedHsm' });
    const client = vaults.keyClient(pool);
    await expect(client.createRsaKey('soft')).rejects.toMatchObject({ statusCode: 400 });
    const key = await client.createRsaKey('hard', { hsm: true });
    expect(key.keyType).toBe('RSA-HSM');
    const { result } = await remote(key).wrapKey('RSA-OAEP-256', Buffer.from('dek'));
    expect(Buffer.from((await remote(key).unwrapKey('RSA-OAEP-256', result)).result).toString()).toBe('dek');
    expect(pool.calls()[0]).toMatchObject({ operation: 'challenge', status: 401 });
  });

  test('C1: the list of calls tells who did what, and the challenge apart', async () => {
    const { keyId } = await west.createKey('watched');
    west.clearCalls();
    await vaults
      .cryptographyClient(keyId)
      .unwrapKey('RSA-OAEP-256', randomBytes(256))
      .catch(() => undefined);
    const at = new Date(vaults.clock.now).toISOString();
    expect(west.calls()).toEqual([
      { at, principal: null, operation: 'challenge', keyId, status: 401 },
      { at, principal, operation: 'get', keyId, status: 200 },
      { at, principal, operation: 'unwrapKey', keyId, status: 400 },
    ]);
  });

  test('a versionless id means the newest version, and the answer names it', async () => {
    const { keyId } = await west.createKey('newest');
    west.clearCalls();
    west.setAccess(principal, ['unwrapKey', 'wrapKey']);
    const client = vaults.cryptographyClient(`${west.uri}/keys/newest`);
    await client.wrapKey('RSA-OAEP-256', Buffer.from('dek'));
    west.resetAccess();
    expect(west.calls().at(-1)).toMatchObject({ operation: 'wrapKey', keyId, status: 200 });
  });
});
