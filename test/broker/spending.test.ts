import { describe, expect, test } from 'vitest';
import { Spending } from '../../src/broker/spending.ts';
import { bothShapes, serviceCost } from '../../src/policy/rate.ts';
import { rules } from '../support/admission-fleet.ts';

const shape = 'RSA/2048';
const cost = { points: 2, service: serviceCost(shape, rules) };

function spending(): Spending {
  return new Spending(rules);
}

describe('B2: since when a call counts', () => {
  test('B2: from its end', () => {
    const subject = spending();
    subject.record(cost, shape, 1000, false);
    subject.ended(cost, shape, 1800);
    expect(subject.releases().map(({ at }) => at)).toContain(11_800);
    expect(subject.sum(1799).points).toBe(2);
    expect(subject.sum(1800).points).toBe(0);
    expect(subject.spent(2000)).toEqual([{ agoMs: 200, ...cost, operations: { [shape]: 1 } }]);
  });

  test('B2: while it is under way, from the last moment at which it can end; also where its end is never told', () => {
    const subject = spending();
    subject.record(cost, shape, 1000, false);
    expect(subject.releases()).toEqual([{ at: 13_000, amount: cost, lastsMs: 2000 }]);
    expect(subject.spent(1500)).toEqual([{ agoMs: -1500, ...cost, operations: { [shape]: 1 } }]);
    subject.prune(12_999);
    expect(subject.spent(12_999)).toHaveLength(1);
    subject.prune(13_000);
    expect(subject.spent(13_000)).toEqual([]);
  });

  test('B2: of equal calls the first is taken to end first, and of others each for itself', () => {
    const subject = spending();
    const dear = { points: 5, service: cost.service };
    subject.record(cost, shape, 0, false);
    subject.record(dear, shape, 500, false);
    subject.record(cost, shape, 1000, false);
    subject.ended(dear, shape, 1200);
    expect(subject.underWaySince(cost, shape)).toBe(0);
    expect(subject.underWaySince(dear, shape)).toBe(Infinity);
    subject.ended(cost, shape, 1300);
    expect(subject.underWaySince(cost, shape)).toBe(1000);
    expect(subject.underWay(1300)).toEqual(cost);
    expect(subject.sum(0).points).toBe(9);
  });

  test('B2: an end that belongs to no call changes nothing', () => {
    const subject = spending();
    subject.ended(cost, shape, 100);
    subject.record(cost, shape, 200, false);
    subject.ended(cost, shape, 300);
    subject.ended(cost, shape, 400);
    expect(subject.sum(0).points).toBe(2);
  });

  test('B2: two calls that were admitted as one end each for itself', () => {
    const subject = spending();
    const names = bothShapes({ keyType: 'RSA', keySize: 2048 }, { keyType: 'RSA-HSM', keySize: 3072 });
    subject.record({ points: 4, service: 2750 }, names, 0, false);
    subject.ended(cost, shape, 900);
    const wrap = { points: 2, service: serviceCost('RSA-HSM/3072', rules) };
    expect(subject.underWay(1000)).toEqual(wrap);
    subject.ended(wrap, 'RSA-HSM/3072', 1700);
    expect(subject.spent(1700).map(({ agoMs, operations }) => [agoMs, operations])).toEqual([
      [800, { [shape]: 1 }],
      [0, { 'RSA-HSM/3072': 1 }],
    ]);
  });

  test('B3: what was spent without a lease stays so when it has ended', () => {
    const subject = spending();
    subject.record(cost, shape, 0, true);
    subject.record(cost, shape, 0, false);
    subject.ended(cost, shape, 10);
    subject.ended(cost, shape, 10);
    expect([subject.sum(0, 'away').points, subject.sum(0, 'leased').points]).toEqual([2, 2]);
  });
});
