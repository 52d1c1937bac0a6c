import { describe, expect, test } from 'vitest';
import { nothing } from '../../src/domain/budget.ts';
import type { BudgetRow, Holding } from '../../src/domain/budget.ts';
import { instant, millis } from '../../src/domain/time.ts';
import { viewRow } from '../../src/policy/lease.ts';
import type { RowView } from '../../src/policy/lease.ts';
import { othersExpected, othersPromises, tagOf, writtenAt } from '../../src/policy/promises.ts';
import type { WrittenAt } from '../../src/policy/promises.ts';
import { rules } from '../support/admission-fleet.ts';

const promised = [{ inMs: millis(9000), points: 30, service: 300 }];
const reader = { purse: 'traffic', instance: 'me' } as const;

function holding(instance: string, more: Partial<Holding> = {}): Holding {
  const times = { wroteAt: instant(100_000), wroteElapsed: millis(5000), ageMs: millis(0), leaseMs: millis(1000) };
  return { instance, purse: 'traffic', ...times, lease: nothing, claim: nothing, promised, spent: [], ...more };
}

interface Seen {
  readonly view: RowView;
  readonly written: WrittenAt;
}

/** Reads a row at `elapsed` of the reader's monotonic clock, after it read `before`. Wall clocks say nothing: they are 2 s apart. */
function look(holdings: Holding[], elapsed: number, before: Seen | null = null): Seen {
  const row: BudgetRow = { holdings, slowdown: null };
  const view = viewRow(row, before?.view ?? null, { elapsed: millis(elapsed), now: instant(100_000) }, rules);
  return { view, written: writtenAt(view, before?.view ?? null, before?.written ?? new Map(), reader) };
}

function due({ view, written }: Seen): number[] {
  return othersPromises(view, 'traffic', 'me', written).map(({ at }) => at);
}

describe('B4: when the callers of others have supply', () => {
  test('B4: as of the read, where nothing else is known', () => {
    expect(due(look([holding('a')], 50_000))).toEqual([59_000]);
  });

  test('B4: the reader itself, another purse and an older version promise nothing', () => {
    const { promised: _, ...older } = holding('older');
    expect(due(look([holding('me'), holding('a', { purse: 'probes' }), older], 50_000))).toEqual([]);
  });

  test("B4: the last writer wrote when the reader's own holding was as old as the row says, although the reader looks much later", () => {
    const own = holding('me', { wroteElapsed: millis(40_000), ageMs: millis(500) });
    expect(due(look([own, holding('a')], 50_000))).toEqual([49_500]);
  });

  test('B4: what is found once is not lost when the reader writes the row itself', () => {
    const own = holding('me', { wroteElapsed: millis(40_000), ageMs: millis(500) });
    const first = look([own, holding('a')], 50_000);
    expect(due(look([holding('a'), holding('me', { wroteElapsed: millis(50_000) })], 51_000, first))).toEqual([49_500]);
  });

  test('B4: a later write of the same instance is as much later as its own clock says', () => {
    const own = holding('me', { wroteElapsed: millis(40_000), ageMs: millis(500) });
    const first = look([own, holding('a')], 50_000);
    expect(due(look([own, holding('a', { wroteElapsed: millis(16_000) })], 60_000, first))).toEqual([60_500]);
  });

  test('B4: a write that the read before did not see is later than that read, and never later than this one', () => {
    const first = look([], 50_000);
    expect(due(look([holding('a')], 52_000, first))).toEqual([59_000]);
    expect(due(look([holding('a', { ageMs: millis(2500) })], 52_000, first))).toEqual([58_500]);
  });
});

describe('B4: who comes back to whichever instance', () => {
  const [one, two] = [tagOf('sql-1', { points: 2, service: 250 }), tagOf('sql-2', { points: 2, service: 250 })];

  function places({ view, written }: Seen): Map<string, { readonly id: string; readonly at: number }[]> {
    return othersExpected(view, 'traffic', 'me', written);
  }

  test('B4: a tag is of a server and a cost', () => {
    expect(one).toMatch(/^[0-9a-z]{4}$/);
    expect(tagOf('sql-1', { points: 2, service: 250 })).toBe(one);
    expect(new Set([one, two, tagOf('sql-1', { points: 5, service: 250 }), tagOf('sql-1', { points: 2, service: 500 })]).size).toBe(4);
  });

  test('B4: each place that is kept elsewhere, by tag; none of the reader itself, of another purse or of an older version', () => {
    const expected = [{ inMs: millis(1000), tags: one + two + one }];
    const found = places(
      look([holding('a', { expected }), holding('me', { expected }), holding('b', { purse: 'probes', expected })], 50_000),
    );
    expect([...found].map(([tag, list]) => [tag, list.map(({ at }) => at)])).toEqual([
      [one, [51_000, 51_000]],
      [two, [51_000]],
    ]);
    expect(places(look([holding('a')], 50_000))).toEqual(new Map());
  });

  test('B4: a place has the same name in each write of its instance, whatever the fractions of its clock, and another in each step', () => {
    const at = (wroteElapsed: number, ...inMs: number[]): string[] => {
      const expected = inMs.map((ms) => ({ inMs: millis(ms), tags: one + one }));
      const found = places(look([holding('a', { wroteElapsed: millis(wroteElapsed), expected })], 50_000));
      return found.get(one)?.map(({ id }) => id) ?? [];
    };
    const [first, second, ...later] = at(5000, 1000, 1500);
    expect(new Set([first, second, ...later]).size).toBe(4);
    // A step begins at 6000 of the holder's clock; times are written in whole milliseconds, rounded down.
    expect(at(5300.7, 699)).toEqual([first, second]);
    expect(at(6700.2, -701, -201)).toEqual([first, second, ...later]);
    // The places of the step before are over.
    expect(at(6900, -400)).toEqual(later);
  });

  test('B4: nor does its name depend on what other instances tell, or in which order they wrote', () => {
    const expected = [{ inMs: millis(1000), tags: one }];
    const [a, b] = [holding('a', { expected }), holding('b', { expected })];
    const idsOf = (...holdings: Holding[]) =>
      new Set(
        places(look(holdings, 50_000))
          .get(one)
          ?.map(({ id }) => id),
      );
    expect(idsOf(a, b).size).toBe(2);
    expect(idsOf(b, a)).toEqual(idsOf(a, b));
    expect(idsOf(a, b)).toEqual(new Set([...idsOf(a), ...idsOf(b)]));
  });
});
