import { describe, expect, it } from 'vitest';
import { parseSchedule, resolveSchedule } from '../local/functions-host/cron.ts';

describe('NCRONTAB', () => {
  it.each([
    ['*/15 * * * * *', '2026-11-22T06:00:00.000Z', '2026-11-22T06:00:15.000Z'],
    ['*/15 * * * * *', '2026-11-22T06:00:14.999Z', '2026-11-22T06:00:15.000Z'],
    ['*/15 * * * * *', '2026-12-31T23:59:45.000Z', '2027-01-01T00:00:00.000Z'],
    ['0 0 */6 * * *', '2026-11-22T06:00:00.000Z', '2026-11-22T12:00:00.000Z'],
    ['0 0 */6 * * *', '2026-11-22T18:00:00.001Z', '2026-11-23T00:00:00.000Z'],
    ['30 5 * * *', '2026-11-22T06:00:00.000Z', '2026-11-23T05:30:00.000Z'],
    ['0 30 9 * Jan Mon', '2026-11-22T06:00:00.000Z', '2027-01-04T09:30:00.000Z'],
    ['0 0 0 29 2 *', '2026-11-22T06:00:00.000Z', '2028-02-29T00:00:00.000Z'],
    ['0 0 0 13 * FRI', '2026-11-22T06:00:00.000Z', '2027-08-13T00:00:00.000Z'],
    ['10-20/5,50 * * * * *', '2026-11-22T06:00:15.000Z', '2026-11-22T06:00:20.000Z'],
    ['10-20/5,50 * * * * *', '2026-11-22T06:00:20.000Z', '2026-11-22T06:00:50.000Z'],
  ])('%s after %s is due at %s', (expression, at, due) => {
    expect(new Date(parseSchedule(expression).next(Date.parse(at)) ?? 0).toISOString()).toBe(due);
  });

  it('has no next time for a day that never comes', () => {
    expect(parseSchedule('0 0 0 30 2 *').next(0)).toBeUndefined();
  });

  it.each([
    '',
    '* * * *',
    '* * * * * * *',
    '60 * * * * *',
    '* * * * * 7',
    '* * * 0 * *',
    '5-1 * * * * *',
    '*/0 * * * * *',
    'a * * * * *',
    '00:05:00',
  ])('refuses %j', (expression) => {
    expect(() => parseSchedule(expression)).toThrow();
  });
});

it('takes a schedule from an app setting', () => {
  expect(resolveSchedule('%WHEN%', { WHEN: '0 0 * * * *' })).toBe('0 0 * * * *');
  expect(() => resolveSchedule('%WHEN%', {})).toThrow('WHEN');
});
