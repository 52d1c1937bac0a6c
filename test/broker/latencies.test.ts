import { describe, expect, test } from 'vitest';
import { withLatencies } from '../../src/broker/latencies.ts';
import { Dek } from '../../src/domain/dek.ts';
import { millis } from '../../src/domain/time.ts';
import type { VaultPort } from '../../src/ports/vault.ts';
import { aFault, noon } from '../support/builders.ts';
import { aVault, keyId } from '../support/stored-values.ts';

function target(vault = 'kv-west') {
  return { vault: aVault(vault), keyId: keyId(vault), identity: null };
}

/** A vault whose calls take so long as it is told next. */
function slowVault() {
  const next = { ms: 0, ok: true };
  const answer = () =>
    Promise.resolve(
      next.ok
        ? { ok: true, value: 'value', sentAt: noon, receivedAt: noon, ms: millis(next.ms) }
        : { ok: false, fault: aFault(), sentAt: noon, receivedAt: noon, ms: millis(next.ms) },
    );
  const measured = withLatencies({ wrap: answer, unwrap: answer, get: answer } as unknown as VaultPort);
  async function get(...spans: readonly number[]): Promise<void> {
    for (const ms of spans) {
      next.ms = ms;
      await measured.vaults.get(target(), millis(1));
    }
  }
  return { ...measured, next, get };
}

const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i + 1);

describe('latency of a vault, by nearest rank', () => {
  test.each<[readonly number[], number | null, number | null]>([
    [[], null, null],
    [[7], 7, 7],
    [[3, 1, 2], 2, 3],
    [upTo(100), 50, 99],
    [upTo(100).toReversed(), 50, 99],
    [[10, 9], 9, 10],
    [[100, 20, 3], 20, 100],
  ])('of calls that took %j ms', async (spans, p50Ms, p99Ms) => {
    const { latencies, get } = slowVault();
    await get(...spans);
    expect(latencies.of('kv-west')).toEqual({ p50Ms, p99Ms });
  });

  test('the newest 512 calls count', async () => {
    const { latencies, get } = slowVault();
    await get(...upTo(512).map(() => 1000));
    await get(...upTo(256).map(() => 1));
    expect(latencies.of('kv-west')).toEqual({ p50Ms: 1, p99Ms: 1000 });
    await get(...upTo(256).map(() => 2));
    expect(latencies.of('kv-west')).toEqual({ p50Ms: 1, p99Ms: 2 });
  });

  test('each kind of call counts, at its own vault, and is answered as it was', async () => {
    const { vaults, latencies, next } = slowVault();
    next.ms = 5;
    const dek = new Dek(new Uint8Array(16));
    expect(await vaults.wrap(target(), dek, 'RSA-OAEP', millis(1))).toMatchObject({ ok: true, value: 'value', ms: 5 });
    next.ms = 6;
    await vaults.unwrap(target(), new Uint8Array(1), 'RSA1_5', millis(1));
    next.ms = 7;
    await vaults.get(target(), millis(1));
    next.ms = 900;
    await vaults.get(target('kv-north'), millis(1));
    expect(latencies.of('kv-west')).toEqual({ p50Ms: 6, p99Ms: 7 });
    expect(latencies.of('kv-north')).toEqual({ p50Ms: 900, p99Ms: 900 });
  });

  test('a call that failed took its time too', async () => {
    const { vaults, latencies, next } = slowVault();
    Object.assign(next, { ms: 2000, ok: false });
    expect(await vaults.get(target(), millis(1))).toMatchObject({ ok: false, fault: { class: 'outage' } });
    expect(latencies.of('kv-west').p50Ms).toBe(2000);
  });
});
