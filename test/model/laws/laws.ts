import type { Observer, World } from '../world/world.ts';
import { answersToldRight } from './answers-told-right.ts';
import { backOnlineByUnwrap } from './back-online-by-unwrap.ts';
import { canariesHeldBack } from './canaries-held-back.ts';
import { confirmedByWitness } from './confirmed-by-witness.ts';
import { createHistory } from './history.ts';
import { latchesWhereDenied } from './latches-where-denied.ts';
import { countNames } from './law.ts';
import type { Bench, Counts, Law } from './law.ts';
import { lesserSignsHeldBack } from './lesser-signs-held-back.ts';
import { onlyOutagesOpen } from './only-outages-open.ts';
import { outagesAnswered } from './outages-answered.ts';
import { releasedByLaterUnwrap } from './released-by-later-unwrap.ts';
import { standbysHeldBack } from './standbys-held-back.ts';

/*
 * The laws, checked from outside: on what the vaults saw, on what became durable, and on what callers heard. Times are true ones. Nothing
 * here uses the gate or the latch; where wall clocks enter, `slack` allows for two instances that are two seconds apart.
 */

const all: readonly ((bench: Bench) => Law)[] = [
  standbysHeldBack,
  canariesHeldBack,
  lesserSignsHeldBack,
  releasedByLaterUnwrap,
  backOnlineByUnwrap,
  latchesWhereDenied,
  confirmedByWitness,
  onlyOutagesOpen,
  outagesAnswered,
  answersToldRight,
];

export interface Laws extends Observer {
  /** What was broken, with the true time; the model stops at the first. */
  readonly broken: string[];
  readonly counts: Counts;
  /** Looks at what should have happened by now. */
  look(): void;
}

/** All laws over one world. Each hears of a change before the history does: what it looks up there was so before. */
export function createLaws(world: World): Laws {
  const broken: string[] = [];
  const counts = Object.fromEntries(countNames.map((name) => [name, 0])) as Counts;
  const history = createHistory(world);
  const bench: Bench = {
    world,
    history,
    counts,
    breaks: (law, detail) => void broken.push(`${law} at ${world.now()} ms: ${detail}`),
  };
  const listeners: readonly Law[] = [...all.map((law) => law(bench)), history];
  return {
    broken,
    counts,
    called: (...call) => listeners.forEach((law) => law.called?.(...call)),
    answered: (...call) => listeners.forEach((law) => law.answered?.(...call)),
    link: (...change) => listeners.forEach((law) => law.link?.(...change)),
    server: (...change) => listeners.forEach((law) => law.server?.(...change)),
    health: (...change) => listeners.forEach((law) => law.health?.(...change)),
    heard: (...asked) => listeners.forEach((law) => law.heard?.(...asked)),
    circuit: (...told) => listeners.forEach((law) => law.circuit?.(...told)),
    throttled: (...told) => listeners.forEach((law) => law.throttled?.(...told)),
    look: () => listeners.forEach((law) => law.look?.()),
  };
}
