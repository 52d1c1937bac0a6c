import { describe, expect, test } from 'vitest';
import { millis } from '../../src/domain/time.ts';
import { fleet, fullestWindow, skews, traffic } from '../support/admission-fleet.ts';
import type { Fleet } from '../support/admission-fleet.ts';

/** A request may take 10 s, of which the last is for the call itself. */
const within = millis(9000);

/** What became of the quiet servers' calls. */
interface Quiet {
  asked: number;
  /** How many tries each took, and how long it waited in all, in ms. */
  readonly tries: number[];
  readonly waits: number[];
}

/** Calls again at the announced time, at whichever instance it comes to, until it is served. */
async function patient(subject: Fleet, server: string, instance: (tries: number) => number, seen: Quiet): Promise<void> {
  seen.asked += 1;
  const began = subject.clock.elapsed();
  for (let tries = 1; ; tries += 1) {
    const answer = await subject.ask(instance(tries), { server, within });
    if (answer.passed) {
      seen.tries.push(tries);
      seen.waits.push(subject.clock.elapsed() - began);
      return;
    }
    await subject.clock.pause(millis(answer.comeBack));
  }
}

function percentile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? Infinity;
}

interface Case {
  readonly name: string;
  readonly n: number;
  readonly loopOn: (call: number) => number;
  readonly quietOn: (call: number) => number;
  /** How long 99 of 100 quiet calls take at most: one window, or two where they come back to other instances. */
  readonly longestMs: number;
}

const cases: readonly Case[] = [
  { name: 'all on one instance', n: 1, loopOn: () => 0, quietOn: () => 0, longestMs: 10_000 },
  { name: 'the loop on one of two instances, the quiet ones on the other', n: 2, loopOn: () => 0, quietOn: () => 1, longestMs: 10_000 },
  {
    name: 'the loop on three of four instances, the quiet ones on the fourth',
    n: 4,
    loopOn: (k) => k % 3,
    quietOn: () => 3,
    longestMs: 10_000,
  },
  { name: 'all over two instances', n: 2, loopOn: (k) => k % 2, quietOn: (k) => (k + (k >> 3)) % 2, longestMs: 20_000 },
  { name: 'all over four instances', n: 4, loopOn: (k) => k % 4, quietOn: (k) => (k + (k >> 3)) % 4, longestMs: 20_000 },
  {
    name: 'the loop on one of four instances, the quiet ones all over',
    n: 4,
    loopOn: () => 0,
    quietOn: (k) => (k + (k >> 3)) % 4,
    longestMs: 20_000,
  },
];

describe('B4: fairness between servers holds over instances', () => {
  test.each(cases.flatMap((one) => [1, 2, 3].map((seed) => ({ ...one, seed }))))(
    'B4: $name ($seed): one server in a loop cannot push out the others',
    async ({ name, n, seed, loopOn, quietOn, longestMs }) => {
      const subject = fleet(skews(n), { seed });
      const quiet: Quiet = { asked: 0, tries: [], waits: [] };
      // The loop asks for 20 times the budget and never waits, nine others for 2 % of it each and come back as they are told.
      for (let second = 0, loops = 0; second < 60; second += 1) {
        for (let tenth = 0; tenth < 10; tenth += 1) {
          for (let k = 0; k < 100; k += 1) void subject.ask(loopOn((loops += 1)), { server: 'loop', within });
          if (tenth < 9) {
            const k = quiet.asked;
            void patient(subject, `quiet-${tenth}`, (tries) => quietOn(k + tries - 1), quiet);
          }
          await subject.clock.advance(100);
        }
      }
      await subject.clock.advance(15_000);
      const loop = subject.passed.filter(({ server, at }) => server === 'loop' && at <= 60_000).length;
      const once = quiet.tries.filter((tries) => tries === 1).length;
      const [p50, p99, p100] = [0.5, 0.99, 1].map((share) => (percentile(quiet.waits, share) / 1000).toFixed(1));
      console.log(
        `${name}: quiet ${quiet.waits.length} of ${quiet.asked} served, ${once} at the first try, in ${p50} s, p99 ${p99} s, at most ${p100} s; loop ${loop}; tries ${Math.max(...quiet.tries)}, writes ${subject.store.writes}`,
      );
      expect(quiet.waits).toHaveLength(540);
      expect(once).toBeGreaterThanOrEqual(0.75 * 540);
      expect(percentile(quiet.waits, 0.99)).toBeLessThanOrEqual(longestMs);
      expect(loop * 2 + 540 * 2).toBeGreaterThanOrEqual(0.95 * traffic * 6);
      expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic);
    },
  );

  const greedy = [
    { name: 'all over two instances', n: 2, most: 1.25, on: (server: number, k: number): number => (k + server) % 2 },
    { name: 'all over four instances', n: 4, most: 1.6, on: (server: number, k: number): number => (k + server) % 4 },
    { name: 'each on one of two instances', n: 2, most: 1.6, on: (server: number): number => server % 2 },
    { name: 'each on an instance of its own', n: 4, most: 1.6, on: (server: number): number => server },
  ];

  test.each(greedy.flatMap((one) => [1, 2, 3].map((seed) => ({ ...one, seed }))))(
    'B4: $name ($seed): servers that all want more than their part get like parts, however much more one asks for',
    async ({ name, n, seed, most, on }) => {
      const subject = fleet(skews(n), { seed });
      const rates = [20, 10, 5];
      for (let at = 0, calls = 0; at < 60_000; at += 100) {
        for (const [server, count] of rates.entries()) {
          for (let k = 0; k < count; k += 1) void subject.ask(on(server, (calls += 1)), { server: `sql-${server}`, within });
        }
        await subject.clock.advance(100);
      }
      const parts = rates.map((_, k) => subject.passed.filter(({ server, at }) => server === `sql-${k}` && at > 10_000).length);
      console.log(
        `${name}: servers that ask for 400, 200 and 100 points a second of 95: ${parts.join(', ')} calls in 50 s, writes ${subject.store.writes}`,
      );
      expect(Math.max(...parts) / Math.min(...parts)).toBeLessThan(most);
      expect(fullestWindow(subject.passed).points).toBeLessThanOrEqual(traffic);
    },
  );
});
