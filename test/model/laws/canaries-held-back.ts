import { linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkRef } from '../../../src/domain/access.ts';
import { isDenial } from '../../../src/domain/fault.ts';
import { refOf } from '../world/fleet.ts';
import type { Call } from '../world/vaults.ts';
import type { Naming } from '../world/world.ts';
import { pictureMs } from './law.ts';
import type { Bench, Law } from './law.ts';

/** How old the sight of a primary may be when a canary is sent: its picture, and twice the slowest way to the store. */
const seenMs = pictureMs + 2000;

/**
 * F3, F4: where the primary is latched nothing goes to its standbys, not even to look: no probe, drill, audit or revalidate. A canary counts
 * for every link of its key and identity, so it is forbidden where all of these are standbys of latched primaries. A person who proves a key
 * for a primary that is not denied may (K4), and one whose proof of a denied primary succeeds; but not once that very proof was denied the
 * unwrap at the primary.
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

  function latchedLongBefore({ begunAt }: Call, primary: LinkRef): boolean {
    const latch = history.latches.get(linkKey(primary));
    // Who has just unwrapped there, releases the latch next.
    return latch !== undefined && latch.since < begunAt - seenMs && !history.provenSince(primary, latch.newestDenialAt);
  }

  /** Whether the work is for a primary that its server has linked, and the key may be a standby of that. */
  function isForLinked({ server, keyIds: [wanted] }: Naming, possible: ReturnType<typeof purposes>): boolean {
    const linked = world.newest(server)?.links.some(({ keyId }) => keyId === wanted) === true;
    return linked && possible.some(({ primary }) => primary.keyId === wanted);
  }

  /** Whether the key is nobody's, or a standby of the work's primary alone: a work also begins the probes of a circuit that it opens. */
  function isForNothingElse({ keyIds: [wanted] }: Naming, possible: ReturnType<typeof purposes>): boolean {
    return possible.every(({ role, primary }) => role === 'standby' && primary.keyId === wanted);
  }

  /** Works of operators whose primary has denied its unwrap, or granted it. */
  const denied = new WeakSet<Naming>();
  const granted = new WeakSet<Naming>();

  /** The works that may make this call. */
  function worksOf(call: Call): readonly Naming[] {
    return world.provingFor(call).filter((work) => work.primaryDenies !== true || work.keyIds[0] === call.keyId || granted.has(work));
  }

  return {
    answered(call) {
      const [work] = call.server === null && call.operation === 'unwrapKey' ? world.provingFor(call) : [];
      const { fault } = call;
      if (work?.keyIds[0] !== call.keyId) return;
      if (fault === undefined) granted.add(work);
      else if (!fault.outsideValidity && isDenial(fault.class)) denied.add(work);
    },

    called(call) {
      if (call.server !== null) return;
      const works = worksOf(call);
      const possible = purposes(call);
      if (works.some((work) => denied.has(work) && isForNothingElse(work, possible)))
        breaks('F3', `${call.operation} at ${call.keyId} on ${call.instance}, after its primary denied the unwrap`);
      if (works.some((work) => !isForLinked(work, possible))) return;
      if (possible.length === 0 || possible.some(({ role }) => role !== 'standby')) return;
      counts.canariesAtStandbys += 1;
      if (!possible.every(({ primary }) => latchedLongBefore(call, primary))) return;
      breaks('F3', `${call.operation} at ${call.keyId} on ${call.instance}, a standby of latched primaries only`);
    },
  };
}
