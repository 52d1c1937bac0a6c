import { describe, expect, test } from 'vitest';
import { behindTraffic } from '../../src/broker/audit-pace.ts';
import { millis } from '../../src/domain/time.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const request = { server: 'sql-demo', key: { keyType: 'RSA-HSM', keySize: 2048 }, tier: 'GeneralPurpose', points: 2 } as const;

/** When each call of an audit began, by vault; `used` of 1000 points is what traffic uses of a window of 10 s. */
function rig(used = 0, refused: 'never' | 'always' = 'never') {
  const clock = virtualClock();
  const began = clock.elapsed();
  const at: Record<string, number[]> = {};
  const servers: string[] = [];
  const admission = {
    admit: () => (refused === 'never' ? undefined : millis(1000)),
    usage: () => Promise.resolve({ used, limit: 1000, windowMs: millis(10_000), byKeyType: {} }),
  };
  const rules = { auditShare: 0.9, auditPace: 0.2 };
  const { letGo, full } = behindTraffic({ admission, clock, rules } as unknown as Parts, began + 600_000);
  const ask = async (vault: string, server = 'sql-demo'): Promise<boolean> => {
    const mayGo = await letGo({ ...request, vault, server });
    if (mayGo) {
      (at[vault] ??= []).push(clock.elapsed() - began);
      servers.push(server);
    }
    return mayGo;
  };
  return { clock, at, ask, full, servers };
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

describe('P1: beside steady traffic', () => {
  test.each([
    ['that leaves the whole pace below the share', 600, 100],
    ['that leaves half of the pace', 800, 200],
    ['that leaves a tenth of the pace', 880, 1000],
    ['of the share and more: a trickle', 950, 2000],
    ['of all there is, where the queue has room nevertheless: a trickle', 1000, 2000],
  ])('%s', async (_what, used, apart) => {
    const { clock, at, ask } = rig(used);
    for (let call = 0; call < 4; call += 1) void ask('kv-west');
    await clock.advance(3 * apart);
    expect(at['kv-west']).toEqual([0, apart, 2 * apart, 3 * apart]);
  });

  test('a vault whose queue lets nothing through for 30 s is left alone for 30 s, and named', async () => {
    const { clock, at, ask, full } = rig(1000, 'always');
    const asked = ask('kv-west');
    await clock.advance(30_000);
    expect(await asked).toBe(false);
    expect(await ask('kv-west')).toBe(false);
    expect([at, [...full]]).toEqual([{}, ['kv-west']]);
  });

  test('servers that were begun go before others, so that at a trickle one after the other is seen to its end', async () => {
    const { clock, ask, servers } = rig(950);
    for (let server = 0; server < 20; server += 1) {
      const name = `sql-${server}`;
      void ask('kv-west', name)
        .then(() => ask('kv-west', name))
        .then(() => ask('kv-west', name));
    }
    await clock.advance(2_000 * 11);
    const ended = [...new Set(servers)].filter((name) => servers.filter((one) => one === name).length === 3);
    expect(ended.length).toBeGreaterThanOrEqual(3);
  });
});
