import { describe, expect, test } from 'vitest';
import { Bookings } from '../../src/broker/bookings.ts';
import { marks } from '../../src/policy/claims.ts';
import { tagOf } from '../../src/policy/promises.ts';

const place = { server: 'sql-1', turn: { start: 0, round: 0, rank: 0, deadline: 0 }, dueAt: 1000, supplyAt: 1500, waitsMs: 0 };

test('B4: a place is of one cost by both rules: a call with a larger key does not take that of a smaller one', () => {
  const bookings = new Bookings(10, 100);
  const small = { points: 2, service: 250 };
  const large = { points: 2, service: 1000 };
  bookings.book({ ...place, cost: large }, 0);
  bookings.book({ ...place, cost: small }, 0);
  expect(bookings.claim('sql-1', small, 1000)).toEqual(place.turn);
  expect(bookings.counted.total).toEqual(large);
  expect(bookings.claim('sql-1', small, 1000)).toBeUndefined();
  expect(bookings.claim('sql-1', large, 1000)).toEqual(place.turn);
});

describe('B4: the other instances are told who comes back when', () => {
  const cost = { points: 2, service: 250 };

  function tagsOf(bookings: Bookings, now: number): [number, string][] {
    return bookings.expected(now).map(({ at, tags }) => [at, tags]);
  }

  test('B4: by half seconds, earliest first, until the caller comes or is so late that nobody has a place for it', () => {
    const bookings = new Bookings(10, 100);
    const [one, two] = [tagOf('sql-1', cost), tagOf('sql-2', cost)];
    bookings.book({ ...place, server: 'sql-2', cost, dueAt: 4200 }, 0);
    bookings.book({ ...place, cost, dueAt: 1600 }, 0);
    bookings.book({ ...place, cost, dueAt: 1999 }, 0);
    expect(tagsOf(bookings, 0)).toEqual([
      [1500, one + one],
      [4000, two],
    ]);
    bookings.claim('sql-1', cost, 1700);
    expect(tagsOf(bookings, 1700)[0]).toEqual([1500, one]);
    expect(tagsOf(bookings, 3999)).toHaveLength(2);
    expect(tagsOf(bookings, 4000)).toEqual([[4000, two]]);
    bookings.claim('sql-2', cost, 4200);
    expect(tagsOf(bookings, 4200)).toEqual([]);
  });

  test('B4: of a server that has many places only those up to the first mark, and of a crowd the 600 who come next', () => {
    const looping = new Bookings(10_000, 10_000);
    for (let k = 0; k < 40; k += 1) looping.book({ ...place, cost }, 0);
    expect(tagsOf(looping, 0)).toEqual([[1000, tagOf('sql-1', cost).repeat(marks[0] / 2)]]);
    const crowd = new Bookings(10_000, 10_000);
    for (let k = 0; k < 700; k += 1) crowd.book({ ...place, server: `sql-${k}`, cost, dueAt: k < 350 ? 9000 : 8000 }, 0);
    expect(tagsOf(crowd, 0).map(([at, tags]) => [at, tags.length / 4])).toEqual([
      [8000, 350],
      [9000, 250],
    ]);
  });
});

test('B4: what was announced to servers that ask for little holds, whoever comes later with an earlier turn; not the long line of one in a loop', () => {
  const cost = { points: 2, service: 250 };
  const later = { ...place.turn, start: 10, round: 2 };
  const bookings = new Bookings(1000, 1000);
  const before = (): number => bookings.ahead(place.turn).reduce((sum, { amount }) => sum + amount.points, 0);
  for (let k = 0; k < 20; k += 1) bookings.book({ ...place, server: `sql-${k}`, turn: later, cost }, 0);
  expect(before()).toBe(40);
  for (let k = 0; k < 100; k += 1) bookings.book({ ...place, server: 'loop', turn: later, cost }, 0);
  expect(before()).toBe(40 + marks[0]);
  expect(bookings.ahead(later).map(({ amount }) => amount.points)).toEqual([240]);
});

test('B4: what was announced to calls of a later class is not kept from one of an earlier class', () => {
  const cost = { points: 2, service: 250 };
  const bookings = new Bookings(1000, 1000);
  for (let k = 0; k < 10; k += 1) bookings.book({ ...place, server: `wrap-${k}`, turn: { ...place.turn, rank: 3 }, cost }, 0);
  for (let k = 0; k < 5; k += 1) bookings.book({ ...place, server: `unwrap-${k}`, turn: { ...place.turn, round: 4, rank: 1 }, cost }, 0);
  const kept = (rank: number): number => bookings.ahead({ ...place.turn, rank }).reduce((sum, { amount }) => sum + amount.points, 0);
  expect([0, 1, 3].map(kept)).toEqual([0, 10, 30]);
});

test('B4: supply is held for a caller who waits at another vault first until it has done so', () => {
  const cost = { points: 2, service: 250 };
  const bookings = new Bookings(10, 100);
  bookings.book({ ...place, cost, waitsMs: 1000 }, 0);
  bookings.book({ ...place, server: 'sql-2', cost }, 0);
  const held = (now: number): number => (bookings.advance(now), bookings.due.total.points);
  expect([held(900), held(1399), held(1400), held(2399), held(2400)]).toEqual([4, 4, 2, 2, 0]);
  expect(bookings.claim('sql-1', cost, 5999)).toEqual(place.turn);
});
