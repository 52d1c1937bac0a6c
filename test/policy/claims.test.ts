import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nothing } from '../../src/domain/budget.ts';
import type { Claim } from '../../src/domain/budget.ts';
import { addClaims, claimOf, extended, lessClaim, lessServed, markFor, markOf, marks, partTo, shareOf } from '../../src/policy/claims.ts';

/** The claim of servers that claim so many points each; a point costs 100 service units. */
function claimOfServers(...servers: readonly number[]): Claim {
  const sumUpTo = (most: number): number => servers.reduce((sum, points) => sum + Math.min(points, most), 0);
  const points = sumUpTo(Infinity);
  return claimOf({ points, service: points * 100 }, marks.map(sumUpTo));
}

describe('B4: what an instance tells of its claim', () => {
  test.each([
    ['servers that ask for little: no mark says anything new', [2, 5, 2], undefined],
    ['one in a loop', [1900], [50, 160, 400]],
    ['both', [1900, 2, 70], [102, 232]],
  ])('B4: %s', (_, servers, upTo) => {
    const { upTo: told } = claimOfServers(...servers);
    expect(told?.slice(0, upTo?.length)).toEqual(upTo);
  });

  test('B4: an older version does not say: all of its claim counts at each mark', () => {
    expect(marks.map((_, mark) => partTo({ points: 700, service: 9 }, mark).points)).toEqual([700, 700, 700]);
  });

  test('B4: claims add up mark by mark; what is drawn is taken from the first on', () => {
    const sum = addClaims(claimOfServers(1900), claimOfServers(2, 30));
    expect(sum).toEqual(claimOfServers(1900, 2, 30));
    expect(lessClaim(sum, { points: 100, service: 10_000 }).upTo).toEqual([0, 92, 332]);
    expect(lessClaim(sum, claimOfServers(1900))).toEqual(claimOfServers(2, 30));
    expect(extended(claimOfServers(2), { points: 50, service: 0 }).upTo).toEqual([2, 2, 2]);
  });

  test('B4: what is due is told with the claim, added up, and served first', () => {
    const due = { ...claimOfServers(30, 1900), due: 40 };
    expect(addClaims(due, claimOfServers(2)).due).toBe(40);
    expect(addClaims(due, due).due).toBe(80);
    expect(lessClaim(due, claimOfServers(30)).due).toBe(40);
    expect(extended(due, { points: 2000, service: 0 }).due).toBe(40);
    expect(lessServed(due, { points: 15, service: 0 })).toMatchObject({ points: 1915, due: 25 });
    expect(lessServed(due, { points: 41, service: 0 }).due).toBeUndefined();
    expect(lessServed(due, { points: 5000, service: 5e6 })).toEqual({ points: 0, service: 0 });
  });

  test.each([
    [2, 0],
    [50, 0],
    [51, 1],
    [400, 2],
    [401, 3],
  ])('B4: a server that claims %i points is covered by mark %i', (points, mark) => {
    expect(markOf(points)).toBe(mark);
    expect(markFor({ points, service: 0 }, claimOfServers(1900))).toBe(mark);
  });
});

describe('B4: how supply is shared between instances', () => {
  test('B4: one server in a loop elsewhere takes nothing of what quiet servers need', () => {
    const quiet = claimOfServers(2, 2, 2, 4);
    expect(shareOf(95, quiet, [claimOfServers(1900)], 'points').share).toBe(10);
    const loop = shareOf(95, claimOfServers(1900), [quiet], 'points');
    expect(loop.share).toBe(85);
    expect(loop.spared).toBe(10);
  });

  test('B4: servers that all want more get equal parts, however much they claim', () => {
    const [a, b] = [claimOfServers(1900), claimOfServers(400)];
    expect(shareOf(300, a, [b], 'points').share).toBe(150);
    expect(shareOf(300, b, [a], 'points').share).toBe(150);
    expect(shareOf(300, a, [claimOfServers(400, 500)], 'points').share).toBe(100);
  });

  test('B4: where all ask for little, and beside an older version, it is shared by the claims', () => {
    expect(shareOf(100, { points: 300, service: 0 }, [{ points: 100, service: 0 }], 'points').share).toBe(75);
  });

  test('B4: those who came back as they were told go first, wherever they came, and newcomers share what is left', () => {
    const [back, fresh] = [{ ...claimOfServers(40, 40), due: 60 }, claimOfServers(40, 40)];
    expect(shareOf(50, back, [fresh], 'points').share).toBe(50);
    expect(shareOf(50, fresh, [back], 'points')).toEqual({ share: 0, level: 0, spared: 50 });
    expect(shareOf(50, back, [back, fresh], 'points').share).toBe(25);
    expect(shareOf(80, back, [fresh], 'points').share).toBeCloseTo(60 + 20 * (20 / 100));
    expect(shareOf(80, fresh, [back], 'points').share).toBeCloseTo(20 * (80 / 100));
    expect(shareOf(80, fresh, [back], 'points').spared).toBe(60);
  });

  const instance = fc
    .tuple(fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 6 }), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([servers, share]) => {
      const claim = claimOfServers(...servers);
      return { ...claim, due: Math.floor(share * partTo(claim, 0).points) };
    });

  test('B4: nobody gets more than it claims, and all together get all that there is', () => {
    fc.assert(
      fc.property(fc.array(instance, { minLength: 1, maxLength: 5 }), fc.integer({ min: 0, max: 1000 }), (claims, supply) => {
        for (const by of ['points', 'service'] as const) {
          const shares = claims.map((mine, k) => shareOf(supply, mine, [...claims.slice(0, k), ...claims.slice(k + 1)], by).share);
          for (const [k, share] of shares.entries()) expect(share).toBeLessThanOrEqual((claims[k] ?? nothing)[by] + 1e-6);
          const all = claims.reduce((sum, claim) => sum + claim[by], 0);
          expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(Math.min(supply, all), 5);
        }
      }),
    );
  });
});
