import { expect, test } from 'vitest';
import { StoreAway, StoreRefused, Unreadable } from '../../src/ports/store.ts';
import { createTurns } from '../../src/ports/turns.ts';

/** Works at places, of which the first fails; those after it wait behind it. @returns what became of each, and how many were begun. */
async function behind(failure: Error, places: readonly string[]): Promise<readonly [outcomes: readonly unknown[], begun: number]> {
  const inTurn = createTurns();
  let begun = 0;
  const works = places.map((place, i) =>
    inTurn(place, async () => {
      begun += 1;
      await Promise.resolve();
      if (i === 0) throw failure;
      return i;
    }),
  );
  const outcomes = (await Promise.allSettled(works)).map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as unknown)));
  return [outcomes, begun];
}

test('the works of one place come one after another, those of another place do not wait', async () => {
  const inTurn = createTurns();
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const work = (place: string, name: string) =>
    inTurn(place, () => {
      begun.push(name);
      return new Promise<void>((resolve) => ends.set(name, resolve));
    });
  const works = [work('a', 'a1'), work('a', 'a2'), work('b', 'b1')];
  expect(begun).toEqual(['a1', 'b1']);
  ends.get('a1')?.();
  await works[0];
  await Promise.resolve();
  expect(begun).toEqual(['a1', 'b1', 'a2']);
  for (const end of ends.values()) end();
  await Promise.all(works);
});

test('those who wait behind a store that is away share its failure, at that place alone', async () => {
  const away = new StoreAway('away');
  expect(await behind(away, ['a', 'a', 'a', 'b'])).toEqual([[away, away, away, 3], 2]);
});

test.each([new Unreadable('row'), new StoreRefused('400'), new Error('defect')])(
  'what fails for its own row alone is nobody else’s failure: %s',
  async (failure) => {
    expect(await behind(failure, ['a', 'a', 'a'])).toEqual([[failure, 1, 2], 3]);
  },
);
