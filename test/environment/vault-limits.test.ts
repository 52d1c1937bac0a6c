import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLimits, type Weighed } from '../local/vault/limits.ts';

/** How many of `attempts` draws are granted. */
function granted(attempts: number, draw: () => boolean): number {
  return Array.from({ length: attempts }, draw).filter(Boolean).length;
}

describe('B2: the limits of the service over a sliding 10 s', () => {
  test.each([
    [2048, false, 4000],
    [2048, true, 2000],
    [3072, false, 1000],
    [3072, true, 500],
    [4096, false, 500],
    [4096, true, 250],
  ])('RSA-%i, hsm %s: %i operations', (bits, hsm, limit) => {
    const limits = createLimits(() => 0);
    expect(granted(limit + 5, () => limits.drawOperation({ bits, hsm }))).toBe(limit);
  });

  test('key types share a window by weight: 16 with RSA-2048 HSM and 248 with RSA-4096 HSM keys fill it', () => {
    const limits = createLimits(() => 0);
    expect(granted(16, () => limits.drawOperation({ bits: 2048, hsm: true }))).toBe(16);
    expect(granted(249, () => limits.drawOperation({ bits: 4096, hsm: true }))).toBe(248);
    expect(limits.drawOperation(undefined)).toBe(false);
  });

  test('keys are created from a limit of their own', () => {
    const limits = createLimits(() => 0);
    expect(granted(30, () => limits.drawCreate(false))).toBe(20);
    expect(limits.drawOperation({ bits: 4096, hsm: true })).toBe(true);
    const hsm = createLimits(() => 0);
    expect(granted(30, () => hsm.drawCreate(true))).toBe(10);
  });

  test('a refused request does not count: room comes back exactly 10 s after what took it', () => {
    let now = 0;
    const limits = createLimits(() => now);
    const key: Weighed = { bits: 4096, hsm: true };
    expect(granted(100, () => limits.drawOperation(key))).toBe(100);
    now = 4000;
    expect(granted(1000, () => limits.drawOperation(key))).toBe(150);
    now = 9999;
    expect(granted(10, () => limits.drawOperation(key))).toBe(0);
    now = 10_000;
    expect(granted(1000, () => limits.drawOperation(key))).toBe(100);
    now = 14_000;
    expect(granted(1000, () => limits.drawOperation(key))).toBe(150);
  });

  test('no 10 s, wherever they start, hold more than the limit, and none is refused that would have fitted', () => {
    const arrival = fc.record({ after: fc.integer({ min: 0, max: 39 }), bits: fc.constantFrom(2048, 3072, 4096), hsm: fc.boolean() });
    const cost = ({ bits, hsm }: Weighed) => (4000 / ({ 2048: 4000, 3072: 1000, 4096: 500 }[bits] ?? 0)) * (hsm ? 2 : 1);
    fc.assert(
      fc.property(fc.array(arrival, { minLength: 300, maxLength: 900 }), (arrivals) => {
        let now = 0;
        const limits = createLimits(() => now);
        const drawn: { at: number; cost: number }[] = [];
        for (const { after, ...key } of arrivals) {
          now += after;
          const used = drawn.filter(({ at }) => at > now - 10_000).reduce((sum, draw) => sum + draw.cost, 0);
          const fits = used + cost(key) <= 4000;
          expect(limits.drawOperation(key)).toBe(fits);
          if (fits) drawn.push({ at: now, cost: cost(key) });
        }
      }),
      { numRuns: 20 },
    );
  });
});
