import { expect, test } from 'vitest';
import { Bookings } from '../../src/broker/bookings.ts';

const place = { server: 'sql-1', turn: { start: 0, round: 0, rank: 0, deadline: 0 }, dueAt: 1000, supplyAt: 1500 };

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
