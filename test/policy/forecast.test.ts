import { describe, expect, test } from 'vitest';
import { nothing } from '../../src/domain/budget.ts';
import { millis } from '../../src/domain/time.ts';
import { announce, cautionFor, waitFor } from '../../src/policy/forecast.ts';
import type { Need, Outlook } from '../../src/policy/forecast.ts';

const outlook: Outlook = {
  left: { points: 10, service: 1000 },
  free: { points: 40, service: 4000 },
  releases: [
    { at: 1500, amount: { points: 300, service: 30_000 } },
    { at: 4000, amount: { points: 600, service: 10_000 } },
  ],
  limit: { points: 950, service: 950_000 },
  othersWaiting: nothing,
  othersPromised: [],
  windowMs: millis(10_000),
};

const points = (n: number): { points: number; service: number } => ({ points: n, service: 0 });

function need(load: number, more: Partial<Need> = {}): Need {
  return { load: points(load), promised: [], claim: nothing, caution: 1, ...more };
}

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
  expect(waitFor(need(load), outlook, 1000)).toBe(wait);
});

test('B4: where as much waits elsewhere, supply is halved', () => {
  const shared = { ...outlook, othersWaiting: points(400) };
  expect(waitFor(need(175, { claim: points(400) }), shared, 1000)).toBe(500);
  expect(waitFor(need(181, { claim: points(400) }), shared, 1000)).toBe(3000);
});

test('B4: where nothing is said to wait here, all that waits elsewhere goes before', () => {
  const shared = { ...outlook, othersWaiting: points(310) };
  expect(waitFor(need(40), shared, 1000)).toBe(500);
  expect(waitFor(need(80), shared, 1000)).toBe(3000);
});

test('B4: the scarcer rule decides', () => {
  expect(waitFor({ ...need(0), load: { points: 20, service: 36_000 } }, outlook, 1000)).toBe(3000);
});

test('B4: whatever rule is scarcer for the call, what goes before it may fill the other', () => {
  const light = { points: 2, service: 2100 };
  const before = [{ at: 0, amount: { points: 940, service: 1000 } }];
  expect(waitFor({ ...need(0), load: light }, outlook, 1000)).toBe(0);
  expect(waitFor({ ...need(0), load: light, promised: before }, outlook, 1000)).toBe(3000);
  expect(waitFor({ ...need(0), load: light }, { ...outlook, othersPromised: before }, 1000)).toBe(3000);
});

test('B4: without a budget there is no time to come back', () => {
  expect(waitFor(need(1), { ...outlook, limit: nothing }, 1000)).toBe(Infinity);
});

test('B4: what is never there is waited for no longer than 60 windows', () => {
  expect(waitFor(need(1_000_000), outlook, 1000)).toBe(600_000);
});

describe('B4: nobody is told a time by which the supply is promised to others', () => {
  const at4000 = [{ at: 4000, amount: points(600) }];

  test.each([
    ['by this instance', need(51, { promised: at4000 }), outlook],
    ['by another', need(51), { ...outlook, othersPromised: at4000 }],
  ])('B4: what was promised %s for a release is not taken of it; what comes before it, and after, is free', (_, one, of) => {
    expect(waitFor(one, of, 1000)).toBe(500);
    expect(waitFor({ ...one, load: points(350) }, of, 1000)).toBe(500);
    expect(waitFor({ ...one, load: points(351) }, of, 1000)).toBe(10_000);
  });

  test('B4: supply that is there now is not taken where all of it is needed to keep what was promised', () => {
    const all = { ...outlook, othersPromised: [{ at: 4000, amount: points(940) }] };
    expect(waitFor(need(10), all, 1000)).toBe(0);
    expect(waitFor(need(11), all, 1000)).toBe(10_000);
  });

  test('B4: what was promised for a later window does not go before', () => {
    const later = [{ at: 14_000, amount: points(900) }];
    expect(waitFor(need(50), { ...outlook, othersPromised: later }, 1000)).toBe(0);
    expect(waitFor(need(950, { promised: later }), outlook, 1000)).toBe(3000);
  });
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
  expect(cautionFor(0)).toBe(1);
  expect(cautionFor(1)).toBeGreaterThan(1);
  expect(waitFor(need(345, { caution: cautionFor(1) }), outlook, 1000)).toBe(3000);
});
