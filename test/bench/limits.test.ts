import { describe, expect, it } from 'vitest';
import { leastTimeMs } from './limits.ts';

const gp = { service: 500, points: 2 };
const bc = { service: 500, points: 5 };

describe('the least time of a storm', () => {
  it.each([
    ["B2: 80 % of the service's limit less 5 % is the stricter rule for GP: 380 operations go at once", [{ calls: 380, limit: gp }], 0],
    ['B2: the next one waits for the next window', [{ calls: 381, limit: gp }], 10_000],
    ['B2: the points are the stricter rule for BC: 190 operations go at once', [{ calls: 190, limit: bc }], 0],
    ['B2: 200 BC databases need a second window', [{ calls: 200, limit: bc }], 10_000],
    [
      'B2: both rules hold for a mix, each over all of it',
      [
        { calls: 300, limit: gp },
        { calls: 80, limit: bc },
      ],
      10_000,
    ],
    ['nothing takes no time', [{ calls: 0, limit: gp }], 0],
  ])('%s', (_rule, loads, expected) => {
    expect(leastTimeMs(loads)).toBe(expected);
  });
});
