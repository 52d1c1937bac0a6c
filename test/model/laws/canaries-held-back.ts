import { linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkRef } from '../../../src/domain/access.ts';
import { isDenial } from '../../../src/domain/fault.ts';
import { refOf } from '../world/fleet.ts';
import type { Call } from '../world/vaults.ts';
import type { Naming } from '../world/world.ts';
import { pictureMs, settlesMs } from './law.ts';
import type { Bench, Law } from './law.ts';

/** How old the sight of a primary may be when a canary is sent: its picture, and twice the slowest way to the store. */
const seenMs = pictureMs + 2000;

/**
 * F3, F4: where the primary is latched nothing goes to its standbys, not even to look: no probe, drill, audit or revalidate. A canary counts
 * for every link of its key and identity, so it is forbidden where all of these are standbys of latched primaries. A person who proves a key
 * for a primary that is not denied may (K4); but not once that very proof was denied the unwrap at the primary.
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

  function latchedLongBefore({ begunAt }: Call, primary: LinkRef, allowance: number): boolean {
    const latch = history.latches.get(linkKey(primary));
    // Who has just unwrapped there, releases the latch next.
    return latch !== undefined && latch.since < begunAt - allowance && !history.provenSince(primary, latch.newestDenialAt);
  }

  /** Whether the work is for a primary that its server has linked, and the key may be a standby of that. */
  function isForLinked({ server, keyIds: [wanted] }: Naming, possible: ReturnType<typeof purposes>): boolean {
    const linked = world.newest(server)?.links.some(({ keyId }) => keyId === wanted) === true;
    return linked && possible.some(({ primary }) => primary.keyId === wanted);
  }

  /** Works of operators whose primary has denied its unwrap. */
  const denied = new WeakSet<Naming>();

  return {
    answered(call) {
      const works = call.server === null && call.operation === 'unwrapKey' ? world.provingFor(call) : [];
      const [work] = works;
      const { fault } = call;
      // Where it may be of another work, or of the watch of somebody's link, nobody can tell who was denied.
      if (works.length !== 1 || work?.keyIds[0] !== call.keyId || purposes(call).length > 0) return;
      if (fault !== undefined && !fault.outsideValidity && isDenial(fault.class)) denied.add(work);
    },

    called(call) {
      if (call.server !== null) return;
      const works = world.provingFor(call);
      const possible = purposes(call);
      // Where nobody has linked the key, the call is of that work and no other.
      if (works.length > 0 && works.every((work) => denied.has(work)) && possible.length === 0)
        breaks('F3', `${call.operation} at ${call.keyId} on ${call.instance}, after its primary denied the unwrap`);
      if (works.some((work) => !isForLinked(work, possible))) return;
      if (possible.length === 0 || possible.some(({ role }) => role !== 'standby')) return;
      counts.canariesAtStandbys += 1;
      // Who proves a whole group has seen its primary before the first of several calls.
      const allowance = works.length === 0 ? seenMs : settlesMs;
      if (!possible.every(({ primary }) => latchedLongBefore(call, primary, allowance))) return;
      breaks('F3', `${call.operation} at ${call.keyId} on ${call.instance}, a standby of latched primaries only`);
    },
  };
}
