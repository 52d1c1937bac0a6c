import fc from 'fast-check';
import { arbitraryOf, at } from './step.ts';
import type { Taking, Weighted } from './step.ts';
import type { World } from '../world/world.ts';

const hour = 3_600_000;
/** So far apart two clocks may be: for that the broker allows. */
const allowedMs = 2000;

/** What befalls the way to the store, and the wall clocks: of all machines (`jump`) or of one (`skew`, from then on). */
export type StoreStep =
  | { readonly do: 'store'; readonly at: number; readonly away: 'refusing' | 'hanging' | null; readonly roundTripMs: number }
  | { readonly do: 'loseAnswer'; readonly at: number }
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'skew'; readonly at: number; readonly ms: number };

/** One machine's clock is wrong by more than the broker allows for. */
export const wrongClock = arbitraryOf('skew', { at, ms: fc.constantFrom(-hour, -60_000, -5000, 5000, 2 * hour, 7 * hour) });
/** The store goes away for one instance. */
export const storeGoes = arbitraryOf('store', {
  at,
  away: fc.constantFrom('refusing' as const, 'hanging' as const),
  roundTripMs: fc.constant(4),
});
export const storeComes = arbitraryOf('store', { at, away: fc.constant(null), roundTripMs: fc.constant(4) });

export const storeSteps: readonly Weighted[] = [
  {
    weight: 2,
    arbitrary: arbitraryOf('store', {
      at,
      away: fc.constantFrom(null, null, null, 'refusing' as const, 'hanging' as const),
      roundTripMs: fc.constantFrom(4, 4, 300, 900),
    }),
  },
  { weight: 1, arbitrary: arbitraryOf('loseAnswer', { at }) },
  { weight: 2, arbitrary: arbitraryOf('jump', { ms: fc.constantFrom(-5000, -1500, 700, 60_000, hour, 7 * hour) }) },
  { weight: 1, arbitrary: arbitraryOf('skew', { at, ms: fc.integer({ min: -1000, max: 1000 }) }) },
  { weight: 1, arbitrary: wrongClock },
];

export const takingStoreSteps: Taking<StoreStep> = {
  store(world, one) {
    const { line } = world.places[one.at]!;
    if (line.away === null && one.away !== null) line.awaySince = world.now();
    line.away = one.away;
    line.roundTripMs = one.roundTripMs;
    world.lineChangedAt = world.now();
  },
  loseAnswer(world, one) {
    world.places[one.at]!.line.losesAnswers += 1;
    world.lineChangedAt = world.now();
  },
  jump(world, { ms }) {
    world.clock.step(ms);
    noteClocks(world);
  },
  skew(world, one) {
    world.places[one.at]!.skew = one.ms;
    noteClocks(world);
  },
};

/** By how much a clock may stamp an earlier time than any has stamped before: also by several steps that are each allowed. */
function noteClocks(world: World): void {
  const offset = world.clock.now() - world.now();
  const skews = [0, ...world.places.map(({ skew }) => skew)];
  world.wallAhead = Math.max(world.wallAhead, offset + Math.max(...skews));
  world.clocksWrong ||= world.wallAhead - (offset + Math.min(...skews)) > allowedMs;
  world.jumpedAt = world.now();
}
