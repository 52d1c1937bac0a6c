import { describe, expect, test } from 'vitest';
import type { Slowdown } from '../../src/domain/budget.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { RowView } from '../../src/policy/lease.ts';
import { budgetFactor, passedOn, slowedRow } from '../../src/policy/slowdown.ts';

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

  test('F7: without a 429 the budget is whole', () => {
    expect(budgetFactor(null, 0)).toBe(1);
  });
});

describe('F7: what a 429 writes', () => {
  test('F7: nothing during the back-off: it belongs to the same burst', () => {
    expect(slowedRow(view(0, 0.5), at(500))).toBeNull();
  });

  test('F7: after the back-off the next step, and half of what is left', () => {
    const next = slowedRow(view(0, 0.5), at(3000));
    expect(next?.begins).toBe(false);
    expect(next?.row.slowdown).toMatchObject({ step: 1, factor: 0.3 });
  });

  test('F7: never less than a sixteenth, never beyond the last step', () => {
    expect(slowedRow(view(4, 1 / 16), at(16_000))?.row.slowdown).toMatchObject({ step: 4, factor: 1 / 16 });
  });

  test('F7: an episode ends when the budget is whole; the row forgets it, and the next 429 begins another', () => {
    expect(passedOn(view(3, 0.5), at(18_001))).toBeNull();
    expect(passedOn(view(3, 0.5), at(12_000))).toMatchObject({ step: 3, ageMs: 12_000 });
    expect(slowedRow(view(3, 0.5), at(18_001))).toMatchObject({ begins: true, row: { slowdown: { step: 0, factor: 0.5 } } });
  });
});
