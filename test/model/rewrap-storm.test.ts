import { describe, expect, test } from 'vitest';
import type { Link } from '../../src/domain/server.ts';
import { skews } from '../support/admission-fleet.ts';
import { rewrapFleet } from '../support/rewrap-fleet.ts';
import type { RewrapFleet } from '../support/rewrap-fleet.ts';
import { aLink, keyId, thumbprint } from '../support/stored-values.ts';

/** After a rotation: the former protector in one vault, the new one in the same vault or in another. */
function links(to: string, shapes: { readonly old?: Partial<Link>; readonly now?: Partial<Link> } = {}): readonly Link[] {
  const old = aLink({ role: 'additional', ...shapes.old });
  return [aLink({ keyId: keyId(to, 'b'.repeat(32)), vault: to, thumbprint: thumbprint('B'), ...shapes.now }), old];
}

function count(subject: RewrapFleet, operation: 'unwrap' | 'wrap'): number {
  return subject.calls.filter((call) => call.operation === operation).length;
}

/** The most calls that a vault saw in any 10 s. */
function fullest(subject: RewrapFleet, vault: string): number {
  const times = subject.calls.filter((call) => call.vault === vault).map(({ at }) => at);
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 10_000).length));
}

/** When the last of `calls` can go at the earliest where a vault takes `aWindow` of them in 10 s. */
function leastTime(calls: number, aWindow: number): number {
  return (Math.ceil(calls / aWindow) - 1) * 10_000;
}

const hsm = { keyType: 'RSA-HSM', keySize: 3072 };
const slowHsm = { keyType: 'RSA-HSM', keySize: 4096 };

/** So many rewraps of General Purpose databases fit in 10 s: by the points of both halves, or by the service's limit for the scarcer key. */
const ways = [
  { name: 'in one vault', to: 'kv-west', shapes: {}, aWindow: 237 },
  { name: 'in one vault, from RSA-2048 to RSA-HSM-3072', to: 'kv-west', shapes: { now: hsm }, aWindow: 237 },
  { name: 'in one vault, RSA-HSM-3072', to: 'kv-west', shapes: { old: hsm, now: hsm }, aWindow: 190 },
  { name: 'from one vault to another', to: 'kv-north', shapes: {}, aWindow: 475 },
  { name: 'from one vault to another with less room', to: 'kv-north', shapes: { now: slowHsm }, aWindow: 190 },
  { name: 'from one vault to another with more room', to: 'kv-north', shapes: { old: slowHsm }, aWindow: 190 },
];

describe('B2, B4: 500 rewraps at once end, since room for both halves is got before the first is sent', () => {
  test.each([1, 2, 4].flatMap((n) => ways.map((way) => ({ n, ...way }))))(
    '$name, $n instances: as soon as the limits allow, by one unwrap each',
    async ({ n, to, shapes, aWindow }) => {
      const subject = rewrapFleet(skews(n), links(to, shapes));
      const seen = await subject.storm(500, { servers: 50, reads: 'ms' });
      expect(seen.done).toBe(500);
      expect(seen.lastMs).toBeLessThanOrEqual(leastTime(500, aWindow) * 1.1);
      expect([count(subject, 'unwrap'), count(subject, 'wrap')]).toEqual([500, 500]);
      const scarcest = to === 'kv-west' ? 2 * aWindow : aWindow;
      expect(Math.max(fullest(subject, 'kv-west'), fullest(subject, 'kv-north'))).toBeLessThanOrEqual(scarcest);
    },
  );

  /** The share of those who come back as they were told that is served then: in the run in the middle, and in the worst. */
  const kept = [
    { n: 1, way: ways[0]!, middle: 0.99, worst: 0.99 },
    { n: 2, way: ways[0]!, middle: 0.99, worst: 0.99 },
    { n: 4, way: ways[0]!, middle: 0.99, worst: 0.99 },
    { n: 1, way: ways[3]!, middle: 0.99, worst: 0.99 },
    { n: 2, way: ways[3]!, middle: 0.99, worst: 0.99 },
    { n: 4, way: ways[3]!, middle: 0.99, worst: 0.99 },
  ];

  test.each(kept)('B4: $way.name, $n instances: who comes back as he was told is served', async ({ n, way, middle, worst }) => {
    const shares: number[] = [];
    for (const seed of [7, 8, 9, 10, 11]) {
      const subject = rewrapFleet(skews(n), links(way.to, way.shapes), { seed });
      const seen = await subject.storm(1000, { servers: 1000, reads: 'ms' });
      expect(seen.done).toBe(1000);
      expect(seen.kept).toBeGreaterThan(400);
      shares.push(seen.kept / (seen.kept + seen.broken));
    }
    shares.sort((a, b) => a - b);
    expect(shares[2]).toBeGreaterThanOrEqual(middle);
    expect(shares[0]).toBeGreaterThanOrEqual(worst);
  });

  test('B4: who reads Retry-After in whole seconds loses no more than 1.1', async () => {
    const subject = rewrapFleet(skews(4), links('kv-west'));
    const seen = await subject.storm(500, { servers: 50, reads: 'seconds' });
    expect(seen.done).toBe(500);
    expect(seen.lastMs).toBeLessThanOrEqual(22_000);
  });
});
