import { describe, expect, it } from 'vitest';
import { printTable, quantile, rowOf, tally } from './figures.ts';

const figure = { bench: 'cpu', figure: 'wrap', unit: 'ratio' };

describe('a figure', () => {
  it('is the median of its runs, with their spread', () => {
    expect(rowOf({ ...figure, runs: [1.4, 1.1, 1.2] })).toMatchObject({ value: 1.2, min: 1.1, max: 1.4, runs: 3 });
    expect(rowOf({ ...figure, runs: [1, 2] }).value).toBe(1.5);
  });

  it.each([
    ['at most, reached exactly', { atMost: 1.3 }, 1.3, 'met'],
    ['at most, passed', { atMost: 1.3 }, 1.31, 'missed'],
    ['at least, reached exactly', { atLeast: 3 }, 3, 'met'],
    ['at least, not reached', { atLeast: 3 }, 2.9, 'missed'],
    ['exactly', { exactly: 0 }, 0, 'met'],
    ['exactly, not so', { exactly: 0 }, 1, 'missed'],
    ['none', undefined, 7, 'information'],
    ['at most, of a value that could not be measured', { atMost: 1 }, Number.NaN, 'missed'],
  ] as const)('is judged by its target: %s', (_case, target, value, verdict) => {
    expect(rowOf({ ...figure, runs: [value], ...(target && { target }) }).verdict).toBe(verdict);
  });

  it('is printed in columns', () => {
    const rows = [
      rowOf({ ...figure, runs: [1.2, 1.4], target: { atMost: 1.3 } }),
      rowOf({ ...figure, figure: 'time', unit: 's', runs: [10] }),
    ];
    expect(printTable(rows).split('\n')).toEqual([
      'bench  figure  value  spread (runs)     target   verdict',
      'cpu    wrap    1.30   1.20 .. 1.40 (2)  <= 1.30  met',
      'cpu    time    10 s   (1)',
    ]);
  });
});

describe('many values', () => {
  it('have quantiles by rank', () => {
    const values = [5, 1, 4, 2, 3];
    expect([quantile(values, 0), quantile(values, 0.5), quantile(values, 0.99), quantile([], 0.5)]).toEqual([1, 3, 5, Number.NaN]);
  });

  it('are counted by value', () => {
    expect(tally([200, 503, 200])).toBe('200 x 2, 503 x 1');
  });
});
