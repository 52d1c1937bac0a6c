import { describe, expect, test } from 'vitest';
import type { Slowdown } from '../../src/domain/budget.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { RowView } from '../../src/policy/lease.ts';
import { budgetFactor, joined, passedOn, shownFactor, throttledAt } from '../../src/policy/slowdown.ts';

/** A vault that answered 429 at monotonic 0. */
function view(step: number, factor: number): RowView {
  const value: Slowdown = { step, factor, at: instant(1000), ageMs: millis(0) };
  return { readAt: millis(0), holdings: [], slowdown: { value, by: 0 } };
}

const at = (elapsed: number): { elapsed: ReturnType<typeof millis>; now: ReturnType<typeof instant> } => ({
  elapsed: millis(elapsed),
  now: instant(1000 + elapsed),
});

describe('F7: the budget after a 429', () => {
  test.each([
    [0, 999, 0],
    [0, 1000, 0.5],
    [0, 6000, 0.75],
    [0, 11_000, 1],
    [1, 1999, 0],
    [2, 3999, 0],
    [3, 7999, 0],
    [4, 15_999, 0],
    [4, 16_000, 0.5],
    [9, 15_999, 0],
  ])('F7: at step %i, %i ms after it, the factor is %d', (step, elapsed, factor) => {
    expect(budgetFactor(view(step, 0.5), elapsed)).toBeCloseTo(factor, 9);
  });

  test('F7: who reads the budget during the back-off sees what there will be at its end', () => {
    expect([0, 999, 1000, 6000, 11_000, 60_000].map((elapsed) => shownFactor(view(0, 0.5), elapsed))).toEqual([0.5, 0.5, 0.5, 0.75, 1, 1]);
    expect(shownFactor({ slowdown: null }, 0)).toBe(1);
  });

  test('F7: without a 429 the budget is whole', () => {
    expect(budgetFactor(null, 0)).toBe(1);
    expect(shownFactor(null, 0)).toBe(1);
  });
});

describe('F7: what a 429 makes of the budget', () => {
  test('F7: the first halves it', () => {
    expect(throttledAt(null, at(700), 'a')).toEqual({ value: { step: 0, factor: 0.5, at: 1700, ageMs: 0, instance: 'a' }, by: 700 });
  });

  test('F7: nothing during the back-off: it belongs to the same burst', () => {
    expect(throttledAt(view(0, 0.5).slowdown, at(500))).toBeNull();
  });

  test('F7: after the back-off the next step, and half of what is left', () => {
    expect(throttledAt(view(0, 0.5).slowdown, at(3000))?.value).toMatchObject({ step: 1, factor: 0.3 });
  });

  test('F7: never less than a sixteenth, never beyond the last step', () => {
    expect(throttledAt(view(4, 1 / 16).slowdown, at(16_000))?.value).toMatchObject({ step: 4, factor: 1 / 16 });
  });

  test('F7: an episode ends when the budget is whole; the row forgets it, and the next 429 begins another', () => {
    expect(passedOn(view(3, 0.5), at(18_001))).toBeNull();
    expect(passedOn(view(3, 0.5), at(12_000))).toMatchObject({ step: 3, ageMs: 12_000 });
    expect(throttledAt(view(3, 0.5).slowdown, at(18_001))?.value).toMatchObject({ step: 0, factor: 0.5 });
  });
});

describe('F7: a 429 that has not come into the row', () => {
  const own = (step: number, factor: number, by: number) => ({
    value: { step, factor, at: instant(1000 + by), ageMs: millis(0), instance: 'me' },
    by,
  });

  test('F7: nothing is in the row: it is what this instance made of it', () => {
    expect(joined(null, own(2, 0.4, 300))).toEqual(own(2, 0.4, 300));
  });

  test('F7: the row tells of this one already', () => {
    const told = own(0, 0.5, 300);
    expect(joined(told, own(0, 0.5, 300))).toBe(told);
  });

  test('F7: in the back-off that the row tells of it belongs to the same burst', () => {
    const { slowdown } = view(0, 0.5);
    expect(joined(slowdown, own(0, 0.5, 300))).toBe(slowdown);
  });

  test('F7: after a back-off that this instance had not heard of it is the next step', () => {
    const { value, by } = joined(view(0, 0.5).slowdown, own(0, 0.5, 3000));
    expect([value.step, value.factor, value.instance, by]).toEqual([1, 0.3, 'me', 3000]);
  });

  test('F7: what this instance met alone, over and over, outweighs what others met once, before or after', () => {
    expect(joined(view(0, 0.5).slowdown, own(3, 0.1, 300))).toEqual(own(3, 0.1, 300));
    expect(joined(view(0, 0.5).slowdown, own(3, 0.1, -5000))).toEqual(own(3, 0.1, -5000));
  });
});
