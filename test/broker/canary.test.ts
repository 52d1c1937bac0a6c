import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { layCanary, proveCanary } from '../../src/broker/canary.ts';
import { Dek } from '../../src/domain/dek.ts';
import { millis } from '../../src/domain/time.ts';
import type { Reply, VaultPort } from '../../src/ports/vault.ts';
import { aFault, at, noon } from '../support/builders.ts';
import { aVault, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const timing = { sentAt: noon, receivedAt: at(5), ms: millis(5) };
const target = { vault: aVault(), keyId: keyId(), identity: null };
const within = millis(2000);
const outage = { ...timing, ok: false, fault: aFault() } as const;

/** A vault whose wrap turns each bit, and that keeps what it was given and what it gave. */
function mirrorVault(failing: { wrap?: boolean; unwrap?: boolean; other?: boolean } = {}) {
  const turned = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 0xff);
  const calls: { readonly operation: string; readonly algorithm: string; readonly within: number; readonly bytes: Uint8Array }[] = [];
  const given: Uint8Array[] = [];
  const vaults = {
    wrap(_target: unknown, dek: Dek, algorithm: string, ms: number): Promise<Reply<Uint8Array>> {
      given.push(dek.reveal());
      calls.push({ operation: 'wrap', algorithm, within: ms, bytes: Uint8Array.from(dek.reveal()) });
      return Promise.resolve(failing.wrap === true ? outage : { ...timing, ok: true, value: turned(dek.reveal()) });
    },
    unwrap(_target: unknown, wrapped: Uint8Array, algorithm: string, ms: number): Promise<Reply<Dek>> {
      calls.push({ operation: 'unwrap', algorithm, within: ms, bytes: Uint8Array.from(wrapped) });
      if (failing.unwrap === true) return Promise.resolve(outage);
      const bytes = Uint8Array.from(failing.other === true ? wrapped : turned(wrapped));
      given.push(bytes);
      return Promise.resolve({ ...timing, ok: true, value: new Dek(bytes) });
    },
  } as unknown as VaultPort;
  return { vaults, calls, given };
}

describe('a canary', () => {
  test('is 32 random bytes, wrapped; what is kept is the ciphertext and the SHA-256', async () => {
    const { vaults, calls } = mirrorVault();
    const reply = await layCanary({ vaults, clock: virtualClock() }, target, within);
    const [{ bytes, ...call }] = calls as [(typeof calls)[0]];
    expect(call).toEqual({ operation: 'wrap', algorithm: 'RSA-OAEP-256', within: 2000 });
    expect(bytes).toHaveLength(32);
    expect(new Set(bytes).size).toBeGreaterThan(8);
    expect(reply).toEqual({
      ...timing,
      ok: true,
      value: {
        wrapped: Buffer.from(bytes.map((byte) => byte ^ 0xff)).toString('base64url'),
        sha256: createHash('sha256').update(bytes).digest('base64url'),
        algorithm: 'RSA-OAEP-256',
      },
    });
  });

  test('each has a value of its own', async () => {
    const { vaults, calls } = mirrorVault();
    const clock = virtualClock();
    await layCanary({ vaults, clock }, target, within);
    await layCanary({ vaults, clock }, target, within);
    expect(calls[0]!.bytes).not.toEqual(calls[1]!.bytes);
  });

  test('proves access: what comes out is what went in', async () => {
    const { vaults, calls } = mirrorVault();
    const laid = await layCanary({ vaults, clock: virtualClock() }, target, within);
    if (!laid.ok) throw new Error('not laid');
    expect(await proveCanary(vaults, target, { ...laid.value, algorithm: 'RSA-OAEP' }, within)).toEqual({
      ...timing,
      ok: true,
      value: true,
    });
    expect(calls[1]).toMatchObject({ operation: 'unwrap', algorithm: 'RSA-OAEP', within: 2000 });
    expect(Buffer.from(calls[1]!.bytes).toString('base64url')).toBe(laid.value.wrapped);
  });

  test('other material under the key id proves nothing', async () => {
    const laid = await layCanary({ vaults: mirrorVault().vaults, clock: virtualClock() }, target, within);
    if (!laid.ok) throw new Error('not laid');
    expect(await proveCanary(mirrorVault({ other: true }).vaults, target, laid.value, within)).toMatchObject({ ok: true, value: false });
  });

  test('a failure of the vault is handed on as it is', async () => {
    const { vaults } = mirrorVault({ wrap: true, unwrap: true });
    expect(await layCanary({ vaults, clock: virtualClock() }, target, within)).toEqual(outage);
    const canary = { wrapped: 'AAAA', sha256: 'x', algorithm: 'RSA-OAEP-256' } as const;
    expect(await proveCanary(vaults, target, canary, within)).toEqual(outage);
  });
});

describe("C4: a canary's plaintext does not outlive the call", () => {
  test.each([false, true])('of wrap, failing: %s', async (failing) => {
    const { vaults, given } = mirrorVault({ wrap: failing });
    await layCanary({ vaults, clock: virtualClock() }, target, within);
    expect(given).toEqual([new Uint8Array(32)]);
  });

  test.each([false, true])('of unwrap, with other material: %s', async (other) => {
    const { vaults, given } = mirrorVault({ other });
    const canary = { wrapped: Buffer.alloc(32, 1).toString('base64url'), sha256: 'x', algorithm: 'RSA-OAEP-256' } as const;
    await proveCanary(vaults, target, canary, within);
    expect(given).toEqual([new Uint8Array(32)]);
  });
});
