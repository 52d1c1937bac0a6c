import { expect, test } from 'vitest';
import { PlacesElsewhere } from '../../src/broker/places-elsewhere.ts';
import { tagOf } from '../../src/policy/promises.ts';

const cost = { points: 2, service: 250 };
const tag = tagOf('sql-1', cost);

/** As the row tells it, however often it is read. */
function told(subject: PlacesElsewhere, now: number, ...places: readonly { readonly id: string; readonly at: number }[]): void {
  subject.renew(() => new Map([[tag, places]]), now);
}

test('B4: who was told elsewhere to come finds a place here, once, also when the row is read again', () => {
  const subject = new PlacesElsewhere();
  told(subject, 0, { id: 'a 1', at: 1000 }, { id: 'a 2', at: 1000 });
  expect(subject.take('sql-1', { points: 5, service: 250 }, 1000)).toBe(false);
  expect(subject.take('sql-2', cost, 1000)).toBe(false);
  expect(subject.take('sql-1', cost, 1000)).toBe(true);
  told(subject, 1100, { id: 'a 1', at: 1000 }, { id: 'a 2', at: 1000 });
  expect(subject.take('sql-1', cost, 1100)).toBe(true);
  told(subject, 3400, { id: 'a 1', at: 1000 }, { id: 'a 2', at: 1000 });
  expect(subject.take('sql-1', cost, 3400)).toBe(false);
});

test.each([
  [749, false],
  [750, true],
  [3499, true],
  [3500, false],
])('B4: a caller whose half second begins at 1000 and who comes at %i has its place: %s', (now, has) => {
  const subject = new PlacesElsewhere();
  told(subject, 0, { id: 'a 1', at: 1000 });
  expect(subject.take('sql-1', cost, now)).toBe(has);
});

test('nobody is expected before the row was read', () => {
  expect(new PlacesElsewhere().take('sql-1', cost, 0)).toBe(false);
});
