import fc from 'fast-check';
import { expect, test } from 'vitest';
import { order, rankOf, roundOf, roundPoints, startOf } from '../../src/policy/admission.ts';
import type { Turn } from '../../src/policy/admission.ts';

test('B4: unwrap before wrap before probe before audit, and Business Critical before General Purpose in each', () => {
  const classes = ['unwrap', 'wrap', 'probe', 'audit'] as const;
  const ranked = classes.flatMap((one) => [rankOf(one, 'BusinessCritical'), rankOf(one, 'GeneralPurpose')]);
  expect(ranked).toEqual([...ranked].sort((a, b) => a - b));
  expect(new Set(ranked).size).toBe(8);
});

test.each([
  [undefined, 40, 40],
  [10, 40, 40],
  [70, 40, 70],
])('B4: a line that ends at %s goes on at virtual time %i from %i', (end, virtual, start) => {
  expect(startOf(end, virtual)).toBe(start);
});

const turn = fc
  .record({ start: fc.nat(500), rank: fc.nat(7), deadline: fc.nat(20_000) })
  .map((one): Turn => ({ ...one, round: roundOf(one.start) }));

test('B4: the round decides before the class, the class before the deadline', () => {
  fc.assert(
    fc.property(turn, turn, (a, b) => {
      const expected = a.round !== b.round ? a.round - b.round : a.rank !== b.rank ? a.rank - b.rank : a.deadline - b.deadline;
      expect(Math.sign(order(a, b))).toBe(Math.sign(expected));
    }),
  );
});

test('B4: one server has at most one Business Critical or two General Purpose calls in a round', () => {
  expect(roundOf(roundPoints - 1)).toBe(0);
  expect(roundOf(roundPoints)).toBe(1);
});
