import { linkKey } from '../../../src/domain/access.ts';
import type { LinkAccess } from '../../../src/domain/access.ts';
import type { Bench, Law } from './law.ts';

/** F5: never a release by an answer to a call sent before the newest denial. A link that is no longer linked takes its latch along. */
export function releasedByLaterUnwrap({ world, history, counts, breaks }: Bench): Law {
  function isLinked({ ref }: LinkAccess): boolean {
    return world.newest(ref.server)?.links.some(({ keyId }) => keyId === ref.keyId) === true;
  }

  return {
    link(before, after, events) {
      if (!before?.latch || after.latch !== null) return;
      const key = linkKey(after.ref);
      const truth = history.latches.get(key);
      const told = events.some((event) => event.type === 'keybroker.latch.released' && event.subject === after.ref.server);
      if (!told && !isLinked(after)) return;
      counts.releases += 1;
      if (!told) breaks('P2', `${key} is released without an event`);
      if (truth === undefined || !history.provenSince(after.ref, truth.newestDenialAt))
        breaks('F5', `${key} is released without an unwrap sent after ${truth?.newestDenialAt}`);
    },
  };
}
