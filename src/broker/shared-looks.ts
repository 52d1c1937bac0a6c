import { linkKey } from '../domain/access.ts';
import type { Sight, WitnessTarget } from './witness.ts';

/**
 * A look at a link that is begun after it was asked for, shared by all that asked before it began. One that is under way may have been sent
 * before a denial that was stored meanwhile, so that it says nothing of that one (F5): who asks then waits for the next. However many ask at
 * once, two looks at a link follow one another.
 */
export function createSharedLooks(look: (target: WitnessTarget) => Promise<Sight>): (target: WitnessTarget) => Promise<Sight> {
  const underWay = new Map<string, Promise<Sight>>();
  const next = new Map<string, Promise<Sight>>();

  function begin(place: string, target: WitnessTarget): Promise<Sight> {
    next.delete(place);
    const begun = look(target).finally(() => {
      if (underWay.get(place) === begun) underWay.delete(place);
    });
    underWay.set(place, begun);
    return begun;
  }

  return (target) => {
    const place = `${linkKey(target.ref)}|${target.ref.identity ?? ''}`;
    const waiting = next.get(place);
    if (waiting !== undefined) return waiting;
    const first = underWay.get(place);
    if (first === undefined) return begin(place, target);
    // Whatever became of the first: what it met is for those who asked for it.
    const then = (): Promise<Sight> => begin(place, target);
    const following = first.then(then, then);
    next.set(place, following);
    return following;
  };
}
