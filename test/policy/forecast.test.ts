import { expect, test } from 'vitest';
import { nothing } from '../../src/domain/budget.ts';
import { millis } from '../../src/domain/time.ts';
import { announce, promised, waitFor } from '../../src/policy/forecast.ts';
import type { Outlook } from '../../src/policy/forecast.ts';

const outlook: Outlook = {
  left: { points: 10, service: 1000 },
  free: { points: 40, service: 4000 },
  releases: [
    { at: 1500, amount: { points: 300, service: 30_000 } },
    { at: 4000, amount: { points: 600, service: 10_000 } },
  ],
  limit: { points: 950, service: 950_000 },
  claim: nothing,
  othersClaims: nothing,
  windowMs: millis(10_000),
};

const points = (n: number): { points: number; service: number } => ({ points: n, service: 0 });

test.each([
  [50, 0],
  [51, 500],
  [350, 500],
  [351, 3000],
  [950, 3000],
  [951, 10_000],
  [1301, 13_000],
  [1900, 13_000],
])('B4: %i points ahead wait %i ms, window after window', (load, wait) => {
  expect(waitFor(points(load), outlook, 1000)).toBe(wait);
});

test('B4: where others claim as much, supply is halved', () => {
  expect(waitFor(points(175), { ...outlook, claim: points(400), othersClaims: points(400) }, 1000)).toBe(500);
  expect(waitFor(points(181), { ...outlook, claim: points(400), othersClaims: points(400) }, 1000)).toBe(3000);
});

test('B4: the scarcer rule decides', () => {
  expect(waitFor({ points: 20, service: 36_000 }, outlook, 1000)).toBe(3000);
});

test('B4: without a budget there is no time to come back', () => {
  expect(waitFor(points(1), { ...outlook, limit: nothing }, 1000)).toBe(Infinity);
});

test.each([
  { wait: 9000, within: 9000, comeBack: 8150 },
  { wait: 9000, within: 2000, comeBack: 8650 },
  { wait: 0, within: 9000, comeBack: 150 },
  { wait: Infinity, within: 9000, comeBack: 599_150 },
])('B4: who would be served in $wait ms and can wait $within ms is told to come a little before that', ({ wait, within, comeBack }) => {
  expect(announce(millis(wait), within, 10_000)).toBe(comeBack);
});

test('B4: where other instances announce times too, less is promised than there is', () => {
  expect(promised({ points: 100, service: 1000 }, 0)).toEqual({ points: 100, service: 1000 });
  expect(promised({ points: 100, service: 1000 }, 1).points).toBeCloseTo(110);
});
