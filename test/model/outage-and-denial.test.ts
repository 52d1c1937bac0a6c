import fc from 'fast-check';
import { expect, test } from 'vitest';
import { play } from './play.ts';
import { sequences } from './steps/steps.ts';

/*
 * The proof of F1 to F9 and A1 to A6: whole sequences on the real roads of two instances, see `laws/` for what is checked. The seed
 * is fixed, so that a run says the same twice; `npm run soak` looks further.
 */

const seed = 20_261_122;

test(
  'F1-F9, A1-A6: 10,000 random orders of outages, denials, kills, store losses and clock jumps break no law',
  { timeout: 600_000 },
  async () => {
    const sums = new Map<string, number>();
    const sequence = fc.asyncProperty(sequences(6), async (one) => {
      for (const [law, times] of Object.entries(await play(one))) sums.set(law, (sums.get(law) ?? 0) + times);
    });
    await fc.assert(sequence, { numRuns: 10_000, seed });
    // A model in which nothing happens would pass too.
    for (const times of sums.values()) expect(times).toBeGreaterThan(500);
  },
);

test('F2: the same holds with the circuits on opossum', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(sequences(6), async (one) => {
      await play(one, 'opossum');
    }),
    { numRuns: 300, seed },
  );
});
