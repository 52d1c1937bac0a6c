import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chances, fleet, fullestWindow, rules, skews, traffic } from '../support/admission-fleet.ts';
import type { Fleet } from '../support/admission-fleet.ts';

/** Offers 320 points a second, over three times the budget, evenly to the instances that `alive` says, for `ms`. */
async function saturate(subject: Fleet, ms: number, alive: (at: number) => readonly number[]): Promise<void> {
  let turn = 0;
  for (let at = 0; at < ms; at += 25) {
    const instances = alive(at);
    for (let call = 0; call < 4; call += 1) {
      turn += 1;
      const instance = instances[turn % instances.length] ?? 0;
      void subject.ask(instance, { server: `sql-${instance}` });
    }
    await subject.clock.advance(25);
  }
}

function spent(subject: Fleet, from: number, to: number): number {
  return subject.passed.filter(({ at }) => at >= from && at < to).reduce((sum, { points }) => sum + points, 0);
}

const burst = fc.record({
  at: fc.integer({ min: 0, max: 22_000 }),
  instance: fc.nat(),
  calls: fc.integer({ min: 1, max: 260 }),
  spacing: fc.constantFrom(0, 1, 17),
  keySize: fc.constantFrom(2048, 3072, 4096),
  keyType: fc.constantFrom('RSA', 'RSA-HSM'),
  tier: fc.constantFrom('GeneralPurpose' as const, 'BusinessCritical' as const),
  class: fc.constantFrom('unwrap' as const, 'wrap' as const, 'probe' as const, 'audit' as const),
  server: fc.integer({ min: 0, max: 9 }),
});
type Burst = typeof burst extends fc.Arbitrary<infer T> ? T : never;

const scene = fc.record({
  skews: fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 20 }),
  latencyMs: fc.integer({ min: 1, max: 60 }),
  bursts: fc.array(burst, { minLength: 1, maxLength: 14 }),
  deaths: fc.array(fc.record({ at: fc.integer({ min: 0, max: 22_000 }), instance: fc.nat() }), { maxLength: 3 }),
  slowestMs: fc.constantFrom(0, 30, 900),
  seed: fc.integer({ min: 1, max: 1_000_000 }),
});

async function play(
  subject: Fleet,
  bursts: readonly Burst[],
  events: readonly { readonly at: number; readonly run: () => void }[],
): Promise<void> {
  const n = subject.instances.length;
  const calls = bursts.flatMap((one) =>
    Array.from({ length: one.calls }, (_, k) => ({
      at: one.at + k * one.spacing,
      run: () =>
        void subject.ask(one.instance % n, {
          server: `sql-${one.server}`,
          class: one.class,
          tier: one.tier,
          points: one.tier === 'GeneralPurpose' ? 2 : 5,
          key: { keyType: one.keyType, keySize: one.keySize },
        }),
    })),
  );
  for (const step of [...calls, ...events].sort((a, b) => a.at - b.at)) {
    const now = subject.clock.elapsed();
    if (step.at > now) await subject.clock.advance(step.at - now);
    step.run();
  }
  await subject.clock.advance(15_000);
}

describe('B2: in every 10 s, wherever they begin', () => {
  test('B2, B3: random storms on 1 to 20 instances, with clocks 2 s apart and deaths, stay inside both rules at the vault', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async ({ skews: apart, latencyMs, bursts, deaths, slowestMs, seed }) => {
        const chance = chances(seed);
        const subject = fleet(apart, { seed, travel: () => ({ toVaultMs: chance() * slowestMs, toEndMs: chance() * slowestMs }) });
        subject.store.latencyMs = latencyMs;
        const killed = deaths.map(({ at, instance }) => ({ at, run: () => subject.kill(instance % apart.length) }));
        await play(subject, bursts, killed);
        const fullest = fullestWindow(subject.passed);
        expect(fullest.points).toBeLessThanOrEqual(rules.points);
        expect(fullest.service).toBeLessThanOrEqual(1);
      }),
      { numRuns: 60 },
    );
  });

  test('B2: an answer of the store that comes late, or never, spends nothing twice', async () => {
    await fc.assert(
      fc.asyncProperty(scene, fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 6 }), async (one, hiccups) => {
        const subject = fleet(one.skews, { seed: one.seed, rules: { ...rules, awayShare: 1e-9 } });
        subject.store.latencyMs = one.latencyMs;
        subject.store.limitMs = 30;
        const faults = hiccups.flatMap((at) => [
          { at, run: () => (subject.store.away = true) },
          { at: at + one.latencyMs, run: () => (subject.store.away = false) },
        ]);
        await play(subject, one.bursts, faults);
        const fullest = fullestWindow(subject.passed);
        expect(fullest.points).toBeLessThanOrEqual(rules.points);
        expect(fullest.service).toBeLessThanOrEqual(1);
      }),
      { numRuns: 40 },
    );
  });
});

describe('B3: the cases that the safety rests on', () => {
  /** Two instances; the first has spent 320 points at once and holds a lease of 400 more, drawn at 300 ms. */
  async function largeLease(): Promise<Fleet> {
    const subject = fleet(skews(2), { rules: { ...rules, awayShare: 1e-9 } });
    // As much in the window before, so that it is expected to go on.
    for (const round of ['once', 'again']) {
      for (let k = 0; k < 130; k += 1) void subject.ask(0, { server: `sql-${round}-${k}` });
      await subject.clock.advance(round === 'once' ? 1500 : 300);
    }
    void subject.ask(0);
    await subject.clock.advance(100);
    expect(subject.passed).toHaveLength(261);
    return subject;
  }

  function burst(subject: Fleet, instance: number, calls: number): void {
    for (let k = 0; k < calls; k += 1) void subject.ask(instance, { server: `burst-${k}` });
  }

  test('B3: a lease that is spent at its last moment, by an instance that then dies, counts until a window after that moment', async () => {
    const subject = await largeLease();
    // In use, or it would be given back; not so late that the next one is drawn.
    for (let ms = 0; ms < 600; ms += 100) {
      await subject.clock.advance(100);
      burst(subject, 0, 1);
    }
    await subject.clock.advance(235);
    burst(subject, 0, 180);
    subject.kill(0);
    expect(subject.passed.filter(({ at }) => at > 2700).length).toBeGreaterThan(150);
    for (let at = 0; at < 12_000; at += 50) {
      burst(subject, 1, 10);
      await subject.clock.advance(50);
    }
    expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic);
  });

  test('B3: while a draw is under way, and after one whose answer is lost, the old lease goes only as far as the new one', async () => {
    const subject = await largeLease();
    await subject.clock.advance(680);
    subject.store.limitMs = 30;
    const { writes } = subject.store;
    void subject.ask(0);
    for (let ms = 0; subject.store.writes === writes && ms < 100; ms += 1) {
      await subject.clock.advance(1);
      burst(subject, 0, 2);
    }
    expect(subject.store.writes).toBe(writes + 1);
    subject.store.away = true;
    burst(subject, 0, 60);
    await subject.clock.advance(60);
    burst(subject, 0, 60);
    await subject.clock.advance(20);
    subject.kill(0);
    subject.store.away = false;
    burst(subject, 1, 400);
    await subject.clock.advance(3000);
    expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic);
  });
});

describe('B3: what is handed out under contention', () => {
  test.each([
    { n: 1, latencyMs: 5 },
    { n: 2, latencyMs: 10 },
    { n: 4, latencyMs: 10 },
    { n: 20, latencyMs: 5 },
    { n: 20, latencyMs: 15 },
    { n: 20, latencyMs: 30 },
  ])(
    'B3: $n instances hand out at least 95 % and never more than 100 %, with a store that is $latencyMs ms away',
    async ({ n, latencyMs }) => {
      const subject = fleet(skews(n));
      subject.store.latencyMs = latencyMs;
      const all = Array.from({ length: n }, (_, i) => i);
      await saturate(subject, 100_000, () => all);
      expect(spent(subject, 0, 100_000)).toBeGreaterThanOrEqual(0.95 * traffic * 10);
      expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic);
    },
  );

  test('B3: instances that die with leases cost what they held, once', async () => {
    const subject = fleet(skews(20));
    const all = Array.from({ length: 20 }, (_, i) => i);
    const deadBy = (at: number): number => Math.min(10, Math.floor(at / 1000));
    await saturate(subject, 60_000, (at) => {
      const dead = deadBy(at);
      for (let i = 0; i < dead; i += 1) subject.kill(i);
      return all.slice(dead);
    });
    expect(spent(subject, 20_000, 60_000)).toBeGreaterThanOrEqual(0.95 * traffic * 4);
    expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic);
  });

  test('B3: a row of 20 instances that sent thousands away stays far below the 1 MiB of a row', async () => {
    const subject = fleet(skews(20));
    for (let k = 0; k < 12_000; k += 1) void subject.ask(k % 20, { server: `sql-${k}` });
    await subject.clock.advance(25_000);
    expect(subject.store.largestRow).toBeLessThan(200_000);
  });

  test('B3: a row of 20 busy instances stays small', async () => {
    const subject = fleet(skews(20));
    const all = Array.from({ length: 20 }, (_, i) => i);
    await saturate(subject, 25_000, () => all);
    expect(subject.store.largestRow).toBeLessThan(40_000);
  });
});

describe('B3: the store is away', () => {
  test.each([1, 2, 3, 4, 5, 12, 15])(
    'B3: mid-storm, ten instances fall to a tenth each, and the windows over both changes hold (%i)',
    async (seed) => {
      const subject = fleet(skews(10), { seed });
      const all = Array.from({ length: 10 }, (_, i) => i);
      await saturate(subject, 15_000, () => all);
      subject.store.away = true;
      await saturate(subject, 40_000, () => all);
      const away = spent(subject, 30_000, 50_000);
      subject.store.away = false;
      await saturate(subject, 30_000, () => all);
      expect(away).toBeGreaterThan(0.6 * traffic * 2);
      expect(away).toBeLessThanOrEqual(traffic * 2);
      expect(spent(subject, 70_000, 80_000)).toBeGreaterThanOrEqual(0.95 * traffic);
      expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(rules.points);
    },
  );

  test('B3: an idle instance goes on at once, spread over the window', async () => {
    const subject = fleet([0]);
    void subject.ask(0);
    await subject.clock.advance(60_000);
    subject.store.away = true;
    const first = subject.ask(0);
    await subject.clock.advance(600);
    expect((await first).passed).toBe(true);
    for (let at = 0; at < 40_000; at += 50) {
      void subject.ask(0);
      await subject.clock.advance(50);
    }
    expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(0.1 * traffic);
    expect(spent(subject, 70_000, 100_000)).toBeGreaterThan(0.75 * 0.1 * traffic * 3);
    const inOneSecond = fullestWindow(subject.passed, 900);
    expect(inOneSecond.points).toBeLessThanOrEqual(20);
  });

  test('B3: an instance that alone is cut off takes no more than its fraction on top', async () => {
    const subject = fleet(skews(4));
    await saturate(subject, 12_000, () => [0, 1, 2, 3]);
    subject.cutOff(0, true);
    await saturate(subject, 30_000, () => [0, 1, 2, 3]);
    subject.cutOff(0, false);
    await saturate(subject, 20_000, () => [0, 1, 2, 3]);
    expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic * 1.1);
    expect(spent(subject, 52_000, 62_000)).toBeGreaterThanOrEqual(0.9 * traffic);
  });
});
