import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hours, instant, latest, millis, minutes, parseRfc3339, plus, seconds, span, toRfc3339 } from '../../src/domain/time.ts';

/** 2026-11-22T06:00:00Z */
const morning = 1_795_327_200_000;

describe('section 5.1: times are RFC 3339 in UTC', () => {
  test.each([
    ['2026-11-22T06:00:00Z', morning],
    ['2026-11-22T06:00:00.5Z', morning + 500],
    ['2026-11-22T06:00:00.123456789Z', morning + 123],
    ['2026-11-22t06:00:00z', morning],
    ['2026-11-22T07:30:00+01:30', morning],
    ['2026-11-21T18:00:00-12:00', morning],
    ['2024-02-29T00:00:00Z', 1_709_164_800_000],
    ['1969-12-31T23:59:59.999Z', -1],
  ])('%s', (text, ms) => {
    expect(parseRfc3339(text)).toBe(ms);
  });

  test.each([
    '',
    '2026-11-22',
    '2026-11-22T06:00Z',
    '2026-11-22T06:00:00',
    '2026-11-22 06:00:00Z',
    '2026-11-22T06:00:00.Z',
    '2026-11-22T06:00:00.1234567890Z',
    '2026-11-22T06:00:00+0100',
    '2026-11-22T06:00:00+24:00',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-32T00:00:00Z',
    '2026-11-22T25:00:00Z',
    '2026-11-22T06:60:00Z',
    '+02026-11-22T06:00:00Z',
    ' 2026-11-22T06:00:00Z',
    '2026-11-22T06:00:00Z\n',
    'yesterday',
    '1795327200000',
  ])('refused: %j', (text) => {
    expect(parseRfc3339(text)).toBeUndefined();
  });

  // Date.parse carries days and hours over into the next month and day.
  test.each([
    ['a day that no calendar has', '2026-02-30T00:00:00Z'],
    ['the 29th of February of a common year', '2026-02-29T00:00:00Z'],
    ['the 31st of April', '2026-04-31T12:00:00+02:00'],
    ['24 o’clock, which RFC 3339 does not know', '2026-11-22T24:00:00Z'],
  ])('refused: %s', (_name, text) => {
    expect(parseRfc3339(text)).toBeUndefined();
  });

  test('what is written is read back', () => {
    expect(toRfc3339(instant(morning))).toBe('2026-11-22T06:00:00.000Z');
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
        (date) => {
          expect(parseRfc3339(toRfc3339(instant(date.getTime())))).toBe(date.getTime());
        },
      ),
    );
  });
});

test('spans are in milliseconds', () => {
  expect([seconds(2), minutes(2), hours(2), millis(2)]).toEqual([2000, 120_000, 7_200_000, 2]);
  expect(plus(instant(morning), seconds(-1))).toBe(morning - 1000);
  expect(span(instant(morning), instant(morning + 5))).toBe(5);
  expect(span(instant(morning + 5), instant(morning))).toBe(-5);
});

test.each([
  [[], null],
  [[null, undefined], null],
  [[null, 3, undefined], 3],
  [[2, 3, 1], 3],
  [[0], 0],
  [[-2, null, -1], -1],
])('the latest of %j is %s', (times, newest) => {
  expect(latest(...times.map((time) => (typeof time === 'number' ? instant(time) : time)))).toBe(newest);
});
