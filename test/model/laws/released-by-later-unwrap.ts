import { linkKey } from '../../../src/domain/access.ts';
import type { LinkAccess } from '../../../src/domain/access.ts';
import type { Bench, Law } from './law.ts';

/**
 * F5: never a release by an answer to a call sent before the newest denial. A link that is no longer linked takes its latch along; one that
 * was stored after that, by an instance that could not store it sooner, goes when the link is linked anew.
 */
export function releasedByLaterUnwrap({ world, history, counts, breaks }: Bench): Law {
  function isLinked({ ref }: LinkAccess): boolean {
    return world.newest(ref.server)?.links.some(({ keyId }) => keyId === ref.keyId) === true;
  }

  const leftovers = new Set<string>();

  return {
    link(before, after, events) {
      const key = linkKey(after.ref);
      if (!before?.latch && after.latch !== null && !isLinked(after)) leftovers.add(key);
      if (!before?.latch || after.latch !== null) return;
      const isLeftover = leftovers.delete(key);
      const truth = history.latches.get(key);
      const told = events.some((event) => event.type === 'keybroker.latch.released' && event.subject === after.ref.server);
      if (!told && (isLeftover || !isLinked(after))) return;
      counts.releases += 1;
      if (!told) breaks('P2', `${key} is released without an event`);
      if (truth === undefined || !history.provenSince(after.ref, truth.newestDenialAt))
        breaks('F5', `${key} is released without an unwrap sent after ${truth?.newestDenialAt}`);
    },
  };
}
