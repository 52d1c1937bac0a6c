import { describe, expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { chances, fleet, fullestWindow, rules, skews } from '../support/admission-fleet.ts';
import type { Fleet, Travel } from '../support/admission-fleet.ts';

const stormKey = { keyType: 'RSA-HSM', keySize: 3072 };

/** Calls at once, each coming back as it is told until it is served. */
async function storm(subject: Fleet, calls: number, round: number): Promise<number> {
  const n = subject.instances.length;
  const ends = Array.from({ length: calls }, async (_, k) => {
    for (;;) {
      const answer = await subject.ask(k % n, { server: `sql-${round}-${k % 50}`, key: stormKey });
      if (answer.passed) return subject.clock.elapsed();
      await subject.clock.pause(millis(answer.comeBack));
    }
  });
  return Promise.all(ends).then((all) => Math.max(...all));
}

function expectBudgetHeldAtTheVault(subject: Fleet): void {
  const fullest = fullestWindow(subject.passed);
  expect(fullest.points).toBeLessThanOrEqual(rules.points);
  // Each call's part of the service's limit is rounded up to a whole unit.
  expect(fullest.service).toBeLessThanOrEqual(0.9501);
}

const cases = [1, 2, 3, 4].flatMap((n) => [1, 2, 3, 4, 5, 6].map((seed) => ({ n, seed })));

describe('B2: at the vault, where calls come later than they were let through', () => {
  test.each(cases)(
    'B2: a storm through $n instances ($seed) whose first calls are slow on the way, and whose later ones are not',
    async ({ n, seed }) => {
      const chance = chances(seed);
      const travel = (): Travel => {
        const slow = subject.clock.elapsed() < 5000;
        return { toVaultMs: chance() * (slow ? 900 : 20), toEndMs: 10 + chance() * 300 };
      };
      const subject: Fleet = fleet(skews(n), { seed, travel });
      subject.store.latencyMs = 8;
      const ended = storm(subject, 700, 0);
      await subject.clock.advance(40_000);
      await ended;
      expectBudgetHeldAtTheVault(subject);
    },
  );

  test.each(cases)(
    'B2: calls that take 0 to 900 ms at random, all the time, through $n instances ($seed) of which one dies',
    async ({ n, seed }) => {
      const chance = chances(seed * 77);
      const travel = (): Travel => ({ toVaultMs: chance() * 900, toEndMs: chance() * 900 });
      const subject = fleet(skews(n), { seed, travel });
      subject.store.latencyMs = 8;
      const deathAt = n === 1 ? Infinity : 3000 + chance() * 6000;
      for (let at = 0; at < 35_000; at += 50) {
        // Bursts with quiet between them: who has nothing to draw tells nothing, unless it must.
        const burst = chance() < 0.04 ? Math.floor(chance() * 250) : 0;
        const instance = Math.floor(chance() * n);
        for (let k = 0; k < burst; k += 1) void subject.ask(instance, { server: `sql-${k}`, key: stormKey, within: millis(2000) });
        if (at >= deathAt) subject.kill(0);
        await subject.clock.advance(50);
      }
      await subject.clock.advance(5000);
      expect(subject.passed.length).toBeGreaterThan(600);
      expectBudgetHeldAtTheVault(subject);
    },
  );

  test.each([1, 2, 4])('design 10: 500 GP databases on an RSA-3072 HSM key through %i instances, 1 s on the way: within 1.1', async (n) => {
    const chance = chances(n);
    const subject = fleet(skews(n), { seed: n, travel: () => ({ toVaultMs: chance() * 500, toEndMs: chance() * 500 }) });
    subject.store.latencyMs = 8;
    const ended = storm(subject, 500, 0);
    await subject.clock.advance(20_000);
    expect(await ended).toBeLessThanOrEqual(11_000);
    expectBudgetHeldAtTheVault(subject);
  });

  test('B3: an instance that spent all and has nothing more to draw tells when its calls have ended: another waits no longer than it must', async () => {
    const subject = fleet(skews(2), { travel: () => ({ toVaultMs: 100, toEndMs: 1400 }) });
    subject.store.latencyMs = 8;
    for (let k = 0; k < 475; k += 1) void subject.ask(0, { server: `sql-${k}` });
    await subject.clock.advance(4000);
    const last = Math.max(...subject.passed.map(({ at }) => at));
    const [answer] = await Promise.all([subject.ask(1, { within: millis(20_000) }), subject.clock.advance(16_000)]);
    expect(answer.passed).toBe(true);
    const served = subject.passed.find(({ instance }) => instance === 1)?.at ?? Infinity;
    // Its calls take a step of the log, 1500 ms and 10 s from when they were let through; what is not told counts for half a second more.
    expect(served - last).toBeLessThanOrEqual(11_500 + 300);
  });
});
