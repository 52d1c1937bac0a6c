import { createLaws } from './laws/laws.ts';
import type { Laws } from './laws/laws.ts';
import { recover } from './recover.ts';
import { take } from './steps/steps.ts';
import type { Sequence } from './steps/steps.ts';
import { createWorld } from './world/world.ts';

/*
 * Random orders of everything that can happen to two instances, their vaults, the store and the fleet, played on the real roads; the laws
 * watch.
 */

export class LawBroken extends Error {
  override readonly name = 'LawBroken';
}

/** Plays a sequence, makes all well again, and sees that the broker recovers. Rejects with `LawBroken`. */
export async function play(
  { seed, controlPlane, steps }: Sequence,
  circuits: 'simulated' | 'opossum' = 'simulated',
): Promise<Laws['counts']> {
  const world = createWorld({ seed, controlPlane, circuits });
  const laws = createLaws(world);
  world.observer = laws;
  const check = (): void => {
    laws.look();
    const [first] = laws.broken;
    if (first !== undefined) throw new LawBroken(first);
  };
  for (const one of steps) {
    await take(world, one);
    check();
  }
  const stuck = await recover(world, check);
  if (stuck !== undefined) throw new LawBroken(`stuck at ${world.now()} ms: ${stuck}`);
  return laws.counts;
}
