import { describe, expect, test } from 'vitest';
import type { Parts } from '../../src/broker/parts.ts';
import { createProveGroup } from '../../src/broker/prove-group.ts';
import { createRegister } from '../../src/broker/register.ts';
import { viewVault } from '../../src/broker/views.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { aContext, aRegisteredWith } from '../support/builders.ts';
import { aVault, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const unreadable = new Unreadable('vault `kv-west` cannot be read: row `name:kv-west` has schema 9');

/** Parts in which kv-west is registered and cannot be read; its books and circuits are asked for nothing else. */
function partsWith(association: () => Promise<unknown>): Parts {
  return {
    clock: virtualClock(),
    registry: {
      readVaults: () => Promise.resolve([]),
      findVault: (by: { readonly name?: string; readonly uri?: string }) =>
        JSON.stringify(by).includes('kv-west') ? Promise.reject(unreadable) : Promise.resolve(undefined),
    },
    association: { read: association },
    admission: { usage: () => Promise.resolve({ used: 0, limit: 2000, windowMs: 10_000, byKeyType: {} }) },
    circuits: { state: () => ({ state: 'closed', since: null }) },
    latencies: { of: () => ({ p50Ms: null, p99Ms: null }) },
    operations: { instance: 'one' },
    instances: { read: () => Promise.resolve([]) },
    rules: { association: { limit: 500, points: { GeneralPurpose: 2, BusinessCritical: 5 } } },
  } as unknown as Parts;
}

describe('a vault that cannot be read', () => {
  const parts = partsWith(() => Promise.resolve({ counts: { GeneralPurpose: 1, BusinessCritical: 1 } }));

  test('K1: a key of it is refused by its name, before any vault is called, and not as one of a vault that is not registered', async () => {
    const prove = createProveGroup({ parts, access: {}, outages: {} } as never);
    const wanted = { registered: aRegisteredWith(), use: 'protector', primaryFirst: false } as const;
    await expect(prove({ ...wanted, keyId: keyId('kv-west'), standbyKeyIds: [] })).rejects.toBe(unreadable);
    await expect(prove({ ...wanted, keyId: keyId('kv-north'), standbyKeyIds: [keyId('kv-west')] })).rejects.toBe(unreadable);
  });

  test('it is not said to be missing where one asks for it', async () => {
    const roads = createRegister(parts, {} as never, {} as never);
    await expect(roads.getVault('kv-west', aContext())).rejects.toBe(unreadable);
    expect(await roads.getVault('kv-none', aContext())).toMatchObject({ ok: false, refusal: { code: 'NotFound' } });
  });
});

describe('B1: a vault whose sum cannot be read', () => {
  test('shows as full, since nothing more fits there; all else of it is shown', async () => {
    const association = async (sum: () => Promise<unknown>) => (await viewVault(partsWith(sum), aVault(), [], undefined)).association;
    expect(await association(() => Promise.resolve({ counts: { GeneralPurpose: 1, BusinessCritical: 1 } }))).toEqual({
      used: 7,
      limit: 500,
    });
    expect(await association(() => Promise.reject(unreadable))).toEqual({ used: 500, limit: 500 });
    await expect(association(() => Promise.reject(new StoreAway('away')))).rejects.toThrow('away');
  });
});
