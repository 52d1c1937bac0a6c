import { linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkRef } from '../../../src/domain/access.ts';
import { refOf } from '../world/fleet.ts';
import type { Call } from '../world/vaults.ts';
import { settlesMs } from './law.ts';
import type { Bench, Law } from './law.ts';

/**
 * F3, F4: where the primary is latched nothing goes to its standbys, not even to look: no probe, drill, audit or revalidate. A canary counts
 * for every link of its key and identity, so it is forbidden where all of these are standbys of latched primaries. A person who proves a key
 * for a primary that is not denied may (K4).
 */
export function canariesHeldBack({ world, history, counts, breaks }: Bench): Law {
  /** What a canary may be for. */
  function purposes({ keyId, identity }: Call): readonly { readonly role: string; readonly primary: LinkRef }[] {
    return [...world.rows.servers.keys()].flatMap((server) =>
      history.recent(server).flatMap((registered) =>
        registered.links
          .filter((link) => sameAccess(refOf(registered, link), { keyId, identity }))
          .map((link) => {
            const primary = registered.links.find((one) => one.keyId === link.standbyOf) ?? link;
            return { role: link.role, primary: refOf(registered, primary) };
          }),
      ),
    );
  }

  function latchedLongBefore(call: Call, primary: LinkRef): boolean {
    const latch = history.latches.get(linkKey(primary));
    // Who looks at a link by several calls has seen its primary before the first; who has just unwrapped there, releases the latch next.
    return latch !== undefined && latch.since < call.begunAt - settlesMs && !history.provenSince(primary, latch.newestDenialAt);
  }

  return {
    called(call) {
      if (call.server !== null || world.provingFor(call) !== undefined) return;
      const possible = purposes(call);
      if (possible.length === 0 || possible.some(({ role }) => role !== 'standby')) return;
      counts.canariesAtStandbys += 1;
      if (!possible.every(({ primary }) => latchedLongBefore(call, primary))) return;
      breaks('F3', `${call.operation} at ${call.keyId} on ${call.instance}, a standby of latched primaries only`);
    },
  };
}
