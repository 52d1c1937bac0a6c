import { linkKey } from '../../../src/domain/access.ts';
import type { LinkRef } from '../../../src/domain/access.ts';
import { standingAt } from '../../../src/policy/server-state.ts';
import type { Call, VaultTruth } from '../world/vaults.ts';
import { proofMaxAgeMs } from './history.ts';
import { backedOffMs, pictureMs, settlesMs, slack } from './law.ts';
import type { Bench, Law } from './law.ts';

/** The law that something breaks, and how. */
type Found = readonly [law: string, detail: string] | undefined;

/**
 * F3, F4, F5, F7, F8, F9: never a call to a standby begun more than 1 s after a denial that reaches its primary was stored, nor at all by an
 * instance that knows of one; nor for a server that is not online, a proof that is too old, or a primary whose vault answers or was deleted.
 */
export function standbysHeldBack({ world, history, counts, breaks }: Bench): Law {
  const { vaults } = world;

  function deniedBefore(call: Call, primary: LinkRef): Found {
    const now = world.now();
    const latch = history.latches.get(linkKey(primary));
    if (latch !== undefined && latch.since < now - pictureMs) return ['F4', `its primary is latched since ${latch.since}`];
    // By stamps of a clock that is wrong nobody can tell a denial from an earlier proof elsewhere: then the latch alone holds.
    if (world.clocksWrong) return undefined;
    for (const denial of history.denials) {
      const known = denial.call.instance === call.instance && denial.knownAt < now;
      const stored = denial.storedAt !== undefined && denial.storedAt < now - pictureMs;
      if (!denial.ofStranger && (known || stored) && history.reaches(denial, primary) && !history.isOver(denial, primary, wallOf(call))) {
        return ['F4', `denied at ${denial.knownAt} (${denial.reach}), ${known ? 'known there' : 'stored'}`];
      }
    }
    return undefined;
  }

  /** The wall clock of who calls. */
  function wallOf({ instance }: Call): number {
    const place = world.places.find((one) => one.instance.name === instance);
    return world.clock.now() + (place?.skew ?? 0);
  }

  function provenTooLongAgo(primary: LinkRef): Found {
    // Who goes by a wrong clock cannot tell how old a proof is that another has stamped.
    if (world.clocksWrong) return undefined;
    return history.proofAge(primary) > proofMaxAgeMs + slack ? ['F3', 'its primary was last proven long before the outage'] : undefined;
  }

  /** F2: an outage of wraps alone is none of unwraps; one of unwraps holds back wraps too. */
  function isWellFor({ operation }: Call, { trouble, partial }: VaultTruth): boolean {
    return trouble === null && (partial === null || (partial.operation === 'wrapKey' && operation === 'unwrapKey'));
  }

  function primaryWellOrGone(call: Call, primary: LinkRef): Found {
    const vault = vaults.truth.get(primary.vault)!;
    const since = world.now() - vault.changedAt;
    if (world.options.controlPlane && vault.deleted !== null && since > pictureMs) return ['F9', 'the vault of its primary was deleted'];
    if (vault.deleted !== null || since <= settlesMs) return undefined;
    if (vault.trouble === 'throttle') return ['F7', `the vault of its primary only throttles since ${vault.changedAt}`];
    // F7: a vault that throttled is not asked for a while whether it wraps again, where it did not.
    const backedOff = history.throttledAt(primary.vault) > world.now() - backedOffMs;
    if (call.operation === 'wrapKey' && backedOff && history.wrapsOut(primary.vault, call.instance)) return undefined;
    return isWellFor(call, vault) ? ['F8', `the vault of its primary is well for ${call.operation} since ${vault.changedAt}`] : undefined;
  }

  function notOnline(server: string): Found {
    const registered = world.newest(server);
    if (registered === undefined || world.now() - history.changedAt(server) <= 5000) return undefined;
    const { state } = standingAt(registered.server, world.clock.now());
    return state === 'online' ? undefined : ['F3', `the server is ${state}`];
  }

  /** T33: a denial at a standby ends its use. */
  function deniedItself({ keyId }: Call, server: string): Found {
    const latch = history.latches.get(linkKey({ server, keyId }));
    return latch !== undefined && latch.since < world.now() - pictureMs
      ? ['T33', `the standby is latched since ${latch.since}`]
      : undefined;
  }

  /** What forbids the call to a standby of this primary. */
  function forbidden(call: Call, server: string, primary: LinkRef): Found {
    return (
      deniedItself(call, server) ??
      deniedBefore(call, primary) ??
      provenTooLongAgo(primary) ??
      primaryWellOrGone(call, primary) ??
      notOnline(server)
    );
  }

  return {
    called(call) {
      const { server } = call;
      if (server === null) return;
      const roles = history.rolesOf(server, call.keyId);
      if (roles.length === 0 || roles.some(({ link }) => link.role !== 'standby')) return;
      counts.standbyCalls += 1;
      if (roles.every(({ link }) => link.rank > 0)) counts.fellThrough += 1;
      const found = roles.map(({ primary }) => forbidden(call, server, primary));
      const [first] = found;
      if (first !== undefined && !found.includes(undefined)) breaks(first[0], `${server} uses a standby on ${call.instance}: ${first[1]}`);
    },
  };
}
