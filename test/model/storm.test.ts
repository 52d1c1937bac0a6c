import { describe, expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { leastTimeMs } from '../bench/limits.ts';
import { fleet, fullestWindow, skews } from '../support/admission-fleet.ts';
import type { Fleet } from '../support/admission-fleet.ts';
import { replicas, weather } from '../support/storm-fleet.ts';
import type { StormCalls, Weathered } from '../support/storm-fleet.ts';

/** The storms of `npm run bench -- storm`, without its machine: what is left is what the policy costs. */
const storms: readonly StormCalls[] = [
  { name: '500 GP', gp: 500, bc: 0 },
  { name: '200 BC x 4', gp: 0, bc: 200 },
  { name: '250 GP + 100 BC x 4', gp: 250, bc: 100 },
];

/** An instance takes up 2 requests a ms; the store is 5 ms away. */
const machine = { takesMs: 0.5, callMs: 50 } as const;

function leastTime({ gp, bc }: StormCalls, instances: number): number {
  return leastTimeMs([
    { calls: gp, limit: { service: 500, points: 2 } },
    { calls: bc * Math.min(replicas, instances), limit: { service: 500, points: 5 } },
  ]);
}

function expectBudgetHeld(subject: Fleet): void {
  const fullest = fullestWindow(subject.passed);
  expect(fullest.points).toBeLessThanOrEqual(950);
  // Each call's part of the service's limit is rounded up to a whole unit.
  expect(fullest.service).toBeLessThanOrEqual(0.9501);
}

/** One storm after the other on the same instances, each after a quiet time as in the bench. */
async function allStorms(subject: Fleet, reads: 'ms' | 'seconds', each: (storm: StormCalls, seen: Weathered) => void): Promise<void> {
  for (const storm of storms) {
    each(storm, await weather(subject, storm, { ...machine, reads }));
    await subject.clock.advance(13_000);
  }
}

const cases = [1, 2, 4].flatMap((n) => [1, 2, 3].map((seed) => ({ n, seed })));

describe('design 10: storms through several instances', () => {
  test.each(cases)('B2, B3, B4: on $n instances ($seed) all are served within 1.05 of what the limits allow', async ({ n, seed }) => {
    const subject = fleet(skews(n), { seed });
    await allStorms(subject, 'ms', (storm, seen) => {
      expect({ storm, served: seen.served, defeated: seen.defeated }).toEqual({ storm, served: seen.requests, defeated: 0 });
      expect(seen.lastMs / leastTime(storm, n), storm.name).toBeLessThanOrEqual(1.05);
    });
    expectBudgetHeld(subject);
  });

  test.each(cases)('B4: on $n instances ($seed) who reads Retry-After in whole seconds loses no more than 1.1', async ({ n, seed }) => {
    const subject = fleet(skews(n), { seed });
    await allStorms(subject, 'seconds', (storm, seen) => {
      expect(seen.served, storm.name).toBe(seen.requests);
      expect(seen.lastMs / leastTime(storm, n), storm.name).toBeLessThanOrEqual(1.1);
    });
    expectBudgetHeld(subject);
  });

  const crowds = [1, 2, 4, 8].map((n) => ({ n }));

  test.each(crowds)('B4: on $n instances who comes back as he was told is served: 99 of 100 in each storm', async ({ n }) => {
    const all = new Map(storms.map(({ name }) => [name, { kept: 0, broken: 0 }]));
    for (const seed of [1, 2, 3, 4, 5]) {
      await allStorms(fleet(skews(n), { seed }), 'ms', ({ name }, { kept, broken }) => {
        const sum = all.get(name);
        if (sum === undefined) throw new Error(name);
        sum.kept += kept;
        sum.broken += broken;
      });
    }
    for (const [name, { kept, broken }] of all) expect(kept / (kept + broken), name).toBeGreaterThanOrEqual(0.99);
  });

  const twenty = Array.from({ length: 20 }, (_, k) => k + 1);

  test.each(twenty)(
    'B4: the mix on two instances (%i) takes no window more, although each sees little of what the other has',
    async (seed) => {
      const subject = fleet(skews(2), { seed });
      for (const storm of storms) {
        const seen = await weather(subject, storm, { ...machine, reads: 'ms' });
        expect(seen.lastMs / leastTime(storm, 2), storm.name).toBeLessThanOrEqual(1.05);
        await subject.clock.advance(13_000);
      }
    },
  );

  const apart = [2, 4].flatMap((n) => [0, 20, 60, 100, 150].map((apartMs) => ({ n, apartMs })));

  test.each(apart)(
    'B3: on $n instances that hear of it $apartMs ms apart nobody waits for what another holds in vain',
    async ({ n, apartMs }) => {
      const subject = fleet(skews(n), { seed: 1 });
      const seen = await weather(subject, { name: '500 GP', gp: 500, bc: 0 }, { ...machine, apartMs, reads: 'ms' });
      // 380 is what the limits allow in a window.
      expect(seen.atOnce).toBeGreaterThanOrEqual(0.9 * 380);
      expect(seen.served).toBe(seen.requests);
      expectBudgetHeld(subject);
    },
  );

  test.each([1, 2, 3])(
    'B3: an instance that dies with its lease in a storm (%i) costs the others no budget that they may not have',
    async (seed) => {
      const subject = fleet(skews(4), { seed });
      const dies = subject.clock.pause(millis(60)).then(() => subject.kill(0));
      const seen = await weather(subject, { name: '500 GP', gp: 500, bc: 0 }, { ...machine, reads: 'ms' }, 60_000);
      await dies;
      expect(seen.served).toBeGreaterThanOrEqual(seen.requests * 0.75);
      expectBudgetHeld(subject);
    },
  );
});
