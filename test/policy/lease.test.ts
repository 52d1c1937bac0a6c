import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fits, nothing } from '../../src/domain/budget.ts';
import type { Amount, BudgetRow, Holding } from '../../src/domain/budget.ts';
import { instant, millis } from '../../src/domain/time.ts';
import { grant, held, holdingsWith, othersClaims, othersWaiting, releases, viewRow } from '../../src/policy/lease.ts';
import type { RowView } from '../../src/policy/lease.ts';
import { rules } from '../support/admission-fleet.ts';

function holding(more: Partial<Holding> = {}): Holding {
  return {
    instance: 'a',
    purse: 'traffic',
    wroteAt: instant(100_000),
    wroteElapsed: millis(5000),
    ageMs: millis(0),
    lease: { points: 100, service: 40_000 },
    leaseMs: millis(1000),
    claim: nothing,
    spent: [],
    ...more,
  };
}

function row(...holdings: Holding[]): BudgetRow {
  return { holdings, slowdown: null };
}

/** Seen for the first time, at monotonic 50,000, when the reader's wall clock says `now`. */
function seen(of: BudgetRow, now = 100_000): RowView {
  return viewRow(of, null, { elapsed: millis(50_000), now: instant(now) }, rules);
}

describe('B3: since when a holding is as it is', () => {
  test.each([
    ['nothing is known: as of the read', holding(), 100_000, 50_000],
    ['the row knows that it was written 300 ms before', holding({ ageMs: millis(300) }), 100_000, 49_700],
    ['the wall clocks say 12 s ago, less 2 s for their difference', holding(), 112_000, 40_000],
    ['the wall clocks differ by less than 2 s: nothing is known', holding(), 101_900, 50_000],
    ["the writer's clock is ahead: nothing is known", holding(), 95_000, 50_000],
    ['the better of two', holding({ ageMs: millis(4000) }), 105_000, 46_000],
  ])('B3: %s', (_, one, now, by) => {
    expect(seen(row(one), now).holdings[0]?.by).toBe(by);
  });

  test('B3: what was seen of an earlier write dates the later one: monotonic clocks keep their distance', () => {
    const first = seen(row(holding()));
    const later = viewRow(row(holding({ wroteElapsed: millis(8000) })), first, { elapsed: millis(53_900), now: instant(103_900) }, rules);
    expect(later.holdings[0]?.by).toBeCloseTo(53_000.3, 5);
  });

  test.each([3_600_000, -3_600_000])('B3: a wall clock that jumps by %i ms changes nothing where the holder is known', (jump) => {
    const first = seen(row(holding()));
    const one = holding({ wroteAt: instant(100_000 + jump), wroteElapsed: millis(5000) });
    const later = viewRow(row(one), first, { elapsed: millis(51_000), now: instant(101_000 - jump) }, rules);
    expect(later.holdings[0]?.by).toBe(50_000);
  });

  test('B3: a stranger cannot have written before the last read that did not see it, whatever its clock says', () => {
    const first = seen(row(holding()));
    const stranger = holding({ instance: 'b', wroteAt: instant(1000) });
    const later = viewRow(row(holding(), stranger), first, { elapsed: millis(51_000), now: instant(101_000) }, rules);
    expect(later.holdings[1]?.by).toBe(50_000);
  });
});

describe('B3: what counts', () => {
  const spent = { agoMs: millis(400), points: 30, service: 10, operations: {} };

  test.each([
    ['an open lease counts to a window after the end of the last call that it lets through', 62_999, 100],
    ['and no longer', 63_000, 0],
  ])('B3: %s', (_, at, points) => {
    const list = releases(seen(row(holding())), 'traffic', 'me', rules);
    expect(held(list, at).points).toBe(points);
  });

  test('B3: what was spent counts for a window from its last call, not from the write', () => {
    const list = releases(seen(row(holding({ lease: nothing, spent: [spent] }))), 'traffic', 'me', rules);
    expect([held(list, 59_599).points, held(list, 59_600).points]).toEqual([30, 0]);
  });

  test('B3: calls under way count to their last moment; a forecast may hope for the first', () => {
    const underWay = { ...spent, agoMs: millis(-2000) };
    const list = releases(seen(row(holding({ lease: nothing, spent: [underWay, spent] }))), 'traffic', 'me', rules);
    expect(held(list, 61_999).points).toBe(underWay.points);
    expect(list.map(({ at, lastsMs }) => [at, lastsMs])).toEqual([
      [62_000, 2000],
      [59_600, undefined],
    ]);
  });

  test("B3: the reader's own holding and other purses are left out", () => {
    const view = seen(row(holding({ instance: 'me' }), holding({ purse: 'probes' })));
    expect(releases(view, 'traffic', 'me', rules)).toEqual([]);
  });

  test('B3: a claim is believed for three lease lives', () => {
    const view = seen(row(holding({ claim: { points: 7, service: 1 } })));
    expect(othersClaims(view, 'traffic', 'me', 53_000)).toHaveLength(1);
    expect(othersClaims(view, 'traffic', 'me', 53_001)).toHaveLength(0);
  });

  test('B4: what waits at others is their claims without what they promised for later; an older version does not say', () => {
    const claim = { points: 100, service: 1000 };
    const promised = [
      { inMs: millis(2000), points: 30, service: 300 },
      { inMs: millis(9000), points: 50, service: 500 },
    ];
    const view = seen(row(holding({ claim, promised }), holding({ instance: 'older', claim })));
    expect(othersWaiting(view, 'traffic', 'me', 50_000)).toEqual({ points: 120, service: 1200 });
    expect(othersWaiting(view, 'traffic', 'older', 53_000)).toEqual({ points: 20, service: 200 });
    expect(othersWaiting(view, 'traffic', 'older', 53_001)).toEqual(nothing);
  });

  test('B3: a dead instance is forgotten when nothing of it counts, and passed on with its age until then', () => {
    const view = seen(row(holding({ instance: 'dead' })));
    const own = holding({ instance: 'me' });
    const at = (elapsed: number): readonly Holding[] =>
      holdingsWith(own, view, { elapsed: millis(elapsed), now: instant(elapsed + 50_000) }, rules);
    expect(at(62_999)).toEqual([holding({ instance: 'dead', ageMs: millis(12_999) }), own]);
    expect(at(63_000)).toEqual([own]);
  });
});

describe('B3: how much is granted', () => {
  const amount = fc.record({ points: fc.integer({ min: 0, max: 1000 }), service: fc.integer({ min: 0, max: 1_000_000 }) });
  const limit: Amount = { points: 950, service: 950_000 };

  test('B3: never more than is free, nor than is wanted, and never less than is of use', () => {
    fc.assert(
      fc.property(fc.tuple(amount, amount, amount, amount), fc.integer({ min: 1, max: 20 }), ([want, claim, free, others], points) => {
        const atLeast = { points, service: points * 100 };
        const lease = grant({ want, claim, atLeast }, free, [others], limit);
        expect(fits(lease, free) && fits(lease, want)).toBe(true);
        expect(lease.points === 0 || fits(atLeast, lease)).toBe(true);
      }),
    );
  });

  test('B3: all that is wanted where there is enough for all', () => {
    const want = { points: 300, service: 1000 };
    expect(grant({ want, claim: want, atLeast: nothing }, limit, [{ points: 600, service: 1000 }], limit)).toEqual(want);
  });

  test.each([
    [49, 0],
    [50, 0],
    [52, 2],
    [60, 10],
    [1000, 38],
  ])(
    'B4: of %i points that are free, newcomers take %i where 50 are due at another instance, which has much more to get',
    (free, taken) => {
      const few = { points: 38, service: 0 };
      const others = [{ points: 1000, service: 0, upTo: [1000], due: 50 }];
      const lease = grant({ want: few, claim: few, atLeast: { points: 2, service: 0 } }, { points: free, service: 0 }, others, limit);
      expect(lease.points).toBe(taken);
    },
  );

  test('B3: a share by the claims where there is not', () => {
    const want = { points: 900, service: 1000 };
    const lease = grant(
      { want, claim: want, atLeast: nothing },
      { points: 400, service: 900_000 },
      [{ points: 2700, service: 1000 }],
      limit,
    );
    expect(lease.points).toBe(100);
  });
});
