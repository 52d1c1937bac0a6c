import { describe, expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import type { AdmissionRequest } from '../../src/ports/admission.ts';
import { exhaust, fleet, fullestWindow, warm } from '../support/admission-fleet.ts';
import type { Answer } from '../support/admission-fleet.ts';

describe('B4: classes', () => {
  /** The order in which calls that wait together are served. */
  async function servedOrder(calls: readonly Partial<AdmissionRequest>[]): Promise<string[]> {
    const subject = fleet([0]);
    await exhaust(subject);
    await subject.clock.advance(5000);
    const from = subject.passed.length;
    for (const call of calls) void subject.ask(0, { within: millis(9000), ...call });
    await subject.clock.advance(9000);
    return subject.passed.slice(from).map(({ server }) => server);
  }

  test('B4: unwrap before wrap before audit, Business Critical before General Purpose', async () => {
    const order = await servedOrder([
      { server: 'audit', class: 'audit' },
      { server: 'wrap-gp', class: 'wrap' },
      { server: 'wrap-bc', class: 'wrap', tier: 'BusinessCritical', points: 5 },
      { server: 'unwrap-gp' },
      { server: 'unwrap-bc', tier: 'BusinessCritical', points: 5 },
    ]);
    expect(order).toEqual(['unwrap-bc', 'unwrap-gp', 'wrap-bc', 'wrap-gp', 'audit']);
  });

  test('B4: within a class the earlier deadline goes first', async () => {
    const order = await servedOrder([
      { server: 'late', within: millis(9000) },
      { server: 'early', within: millis(8000) },
      { server: 'middle', within: millis(8500) },
    ]);
    expect(order).toEqual(['early', 'middle', 'late']);
  });

  test('B4: 5 % are kept for probes, and not for anybody else', async () => {
    const subject = fleet([0]);
    await exhaust(subject);
    for (let k = 0; k < 40; k += 1) void subject.ask(0, { server: 'watch', class: 'probe', within: millis(500) });
    void subject.ask(0, { server: 'auditor', class: 'audit', within: millis(500) });
    await subject.clock.advance(1000);
    expect(subject.passed.filter(({ server }) => server === 'watch')).toHaveLength(25);
    expect(subject.passed.filter(({ server }) => server === 'auditor')).toHaveLength(0);
    expect(fullestWindow(subject.passed).points).toBe(1000);
  });

  test('B4: probes may have what traffic does not need', async () => {
    const subject = await warm();
    let passed = 0;
    for (let at = 0; at < 10_000; at += 100) {
      void subject.ask(0);
      const answer = subject.ask(0, { server: 'watch', class: 'probe' });
      void answer.then((one) => (passed += one.passed && one.waited < 100 ? 1 : 0));
      await subject.clock.advance(100);
    }
    expect(passed).toBeGreaterThan(50);
  });

  test('B4: nothing starves: a wrap among endless unwraps of other servers is served before its deadline', async () => {
    const subject = fleet([0]);
    const answers: Answer[] = [];
    let server = 0;
    for (let at = 0; at < 40_000; at += 100) {
      // 200 points a second of unwraps, twice the budget, each of another server.
      for (let k = 0; k < 10; k += 1) void subject.ask(0, { server: `sql-${(server += 1) % 400}`, within: millis(9000) });
      if (at % 1000 === 0)
        void subject.ask(0, { server: 'patient', class: 'wrap', within: millis(30_000) }).then((one) => answers.push(one));
      await subject.clock.advance(100);
    }
    await subject.clock.advance(30_000);
    expect(answers.filter(({ passed }) => passed)).toHaveLength(40);
  });
});

describe('B4: fairness between servers', () => {
  test('B4: one server in a loop cannot push out the others: they get all that they ask for, it gets the rest', async () => {
    const subject = fleet([0]);
    const tries: number[] = [];
    const quiet = async (server: string): Promise<void> => {
      for (let turn = 1; ; turn += 1) {
        const answer = await subject.ask(0, { server });
        if (answer.passed) return void tries.push(turn);
        await subject.clock.pause(millis(answer.comeBack));
      }
    };
    // The loop asks for 20 times the budget and never waits, nine others for 2 % of it each and come back as they are told.
    for (let second = 0; second < 60; second += 1) {
      for (let tenth = 0; tenth < 10; tenth += 1) {
        for (let k = 0; k < 100; k += 1) void subject.ask(0, { server: 'loop' });
        if (tenth < 9) void quiet(`quiet-${tenth}`);
        await subject.clock.advance(100);
      }
    }
    await subject.clock.advance(10_000);
    const loop = subject.passed.filter(({ server, at }) => server === 'loop' && at <= 60_000).length;
    console.log(`a loop at 20 times the budget beside nine quiet servers: quiet ${tries.length} of 540 served, loop ${loop} of 60,000`);
    expect(tries).toHaveLength(540);
    expect(Math.max(...tries)).toBe(2);
    expect(loop * 2 + 540 * 2).toBeGreaterThanOrEqual(0.95 * 950 * 6);
  });

  test('B4: servers that all want more than their part get equal parts, whatever they ask for', async () => {
    const subject = fleet([0]);
    const rates = [20, 10, 5];
    for (let at = 0; at < 60_000; at += 100) {
      for (const [n, calls] of rates.entries()) {
        for (let k = 0; k < calls; k += 1) void subject.ask(0, { server: `sql-${n}`, within: millis(25_000) });
      }
      await subject.clock.advance(100);
    }
    const parts = rates.map((_, n) => subject.passed.filter(({ server, at }) => server === `sql-${n}` && at > 10_000).length);
    console.log(`servers that ask for 400, 200 and 100 points a second of 95: ${parts.join(', ')} calls in 50 s`);
    expect(Math.max(...parts) / Math.min(...parts)).toBeLessThan(1.1);
  });
});
