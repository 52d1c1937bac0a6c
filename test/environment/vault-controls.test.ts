import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faultSchema } from '../local/vault/faults.ts';
import { startVaults, type Vaults } from '../support/vaults.ts';

let vaults: Vaults;

beforeAll(async () => {
  vaults = await startVaults();
});
afterAll(() => vaults.close());

describe('what the control API is given', () => {
  test.each([
    { fault: 'unknown' },
    { fault: 'status' },
    { fault: 'status', status: 200 },
    { fault: 'slow' },
    { fault: 'dns', answer: 'refused' },
    { fault: 'hang', operations: ['wrapkey'] },
    { fault: 'refuse', operations: ['get'] },
    { fault: 'hang', rate: 0.5 },
  ])('%j is no fault', (body) => {
    expect(faultSchema.safeParse(body).success).toBe(false);
  });

  test('errors of keys carry the status and code of the service', async () => {
    const vault = await vaults.addVault({ name: 'kv-west' });
    const other = await vaults.addVault({ name: 'kv-other' });
    const { keyId } = await vault.createKey('tde');
    const copied = vault.copyKey('tde', other);
    expect(copied.keyId).toBe(keyId.replace(vault.uri, other.uri));
    expect(() => vault.copyKey('tde', other)).toThrow(expect.objectContaining({ status: 409, code: 'Conflict' }));
    expect(() => vault.copyKey('none', other)).toThrow(expect.objectContaining({ status: 404, code: 'KeyNotFound' }));
    expect(() => vault.patchKey('tde', 'none', { enabled: false })).toThrow(expect.objectContaining({ status: 404 }));
    await expect(vaults.addVault({ name: 'KV-WEST' })).rejects.toThrow(RangeError);
    await expect(vaults.addVault({ name: 'kv/west' })).rejects.toThrow(RangeError);
  });
});
