import { expect, test } from 'vitest';
import { behindTraffic } from '../../src/broker/audit-pace.ts';
import { millis } from '../../src/domain/time.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const request = { server: 'sql-demo', key: { keyType: 'RSA-HSM', keySize: 2048 }, tier: 'GeneralPurpose', points: 2 } as const;

/** When each call of an audit began, by vault; `used` of 1000 points is what traffic uses of a window of 10 s. */
function rig(used = 0) {
  const clock = virtualClock();
  const began = clock.elapsed();
  const at: Record<string, number[]> = {};
  const admission = {
    admit: () => undefined,
    usage: () => Promise.resolve({ used, limit: 1000, windowMs: millis(10_000), byKeyType: {} }),
  };
  const letGo = behindTraffic({ admission, clock, rules: { auditShare: 0.5, auditPace: 0.2 } } as unknown as Parts, began + 60_000);
  const ask = async (vault: string): Promise<void> => {
    if (await letGo({ ...request, vault })) (at[vault] ??= []).push(clock.elapsed() - began);
  };
  return { clock, at, ask };
}

test('P1: what the pace allows in a window is spread over it: 100 calls in 10 s, 100 ms apart', async () => {
  const { clock, at, ask } = rig();
  for (let call = 0; call < 300; call += 1) void ask('kv-west');
  await clock.advance(9_999);
  expect(at['kv-west']).toEqual(Array.from({ length: 100 }, (_unused, call) => call * 100));
});

test('P1: vaults are paced side by side', async () => {
  const { clock, at, ask } = rig();
  for (let call = 0; call < 3; call += 1) for (const vault of ['kv-west', 'kv-north']) void ask(vault);
  await clock.advance(200);
  expect(at).toEqual({ 'kv-west': [0, 100, 200], 'kv-north': [0, 100, 200] });
});

test('P1: what traffic uses is no reason to be slower, up to the share; then the vault is left alone', async () => {
  const busy = rig(450);
  for (let call = 0; call < 3; call += 1) void busy.ask('kv-west');
  await busy.clock.advance(200);
  expect(busy.at).toEqual({ 'kv-west': [0, 100, 200] });
  const { clock, at, ask } = rig(500);
  void ask('kv-west');
  await clock.advance(29_000);
  expect(at).toEqual({});
});
