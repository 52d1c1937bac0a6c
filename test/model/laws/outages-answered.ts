import { linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkRef } from '../../../src/domain/access.ts';
import { groupByThumbprint, protectorGroup } from '../../../src/domain/server.ts';
import type { Group, Link, RegisteredServer } from '../../../src/domain/server.ts';
import { standingAt } from '../../../src/policy/server-state.ts';
import { refOf } from '../world/fleet.ts';
import { isLatched } from '../world/store.ts';
import { outageTroubles, thumbprintOf, troubleOf } from '../world/vaults.ts';
import type { VaultTruth } from '../world/vaults.ts';
import type { Asked } from '../world/world.ts';
import { proofMaxAgeMs } from './history.ts';
import { backedOffMs, minute, quietMs, settlesMs, slack } from './law.ts';
import type { Bench, Law } from './law.ts';

/**
 * The other side of F3: with a sound standby, a healthy store and a proof in time an outage is always answered by the standby, the first that
 * is sound in their order. Judged by the stored rows, with slack: only where no instance could doubt it.
 */
export function outagesAnswered({ world, history, counts, breaks }: Bench): Law {
  const { rows, vaults } = world;

  function groupOf(registered: RegisteredServer, { operation, key }: Asked): Group | undefined {
    return operation === 'wrap' ? protectorGroup(registered) : groupByThumbprint(registered, thumbprintOf(key));
  }

  /** Out for the operation, from before it began until now, and known as nothing else. */
  function isOut(name: string, operation: Asked['operation'], before: number): boolean {
    const vault = vaults.truth.get(name)!;
    const trouble = troubleOf(vault, operation === 'wrap' ? 'wrapKey' : 'unwrapKey');
    return vault.changedAt < before && vault.deleted === null && trouble !== null && outageTroubles.includes(trouble);
  }

  function isSound(name: string, since: number): boolean {
    const vault = vaults.truth.get(name)!;
    if (vault.changedAt >= since || vault.trouble !== null || vault.partial !== null || vault.deleted !== null) return false;
    return allAllowed(vault) && history.throttledAt(name) < since - backedOffMs;
  }

  function allAllowed({ forbidden, keys }: VaultTruth): boolean {
    const open = [...forbidden.values()].every((operations) => operations.size === 0);
    return open && [...keys.values()].every(({ state, expired }) => state === 'enabled' && !expired);
  }

  /** The standby that must answer: the first that is sound, where those before it are plainly down. */
  function soundStandby({ standbys }: Group, operation: Asked['operation'], since: number): Link | undefined {
    const sound = standbys.find((standby) => !isOut(standby.vault, operation, since));
    const outBefore = standbys.findIndex((standby) => standby === sound);
    // More of them may use up the request's deadline.
    return sound !== undefined && outBefore <= 2 && isSound(sound.vault, since) ? sound : undefined;
  }

  function provenEnough(ref: LinkRef, notBefore: number): boolean {
    const same = [...rows.links.values()].filter((row) => sameAccess(row.ref, ref));
    const proof = Math.max(...same.map((row) => row.provenAt ?? -Infinity));
    const atKey = [...rows.links.values()].filter((row) => row.ref.keyId === ref.keyId);
    const doubt = Math.max(...atKey.map((row) => row.doubtedAt ?? -Infinity));
    if (isLatched(rows, ref) || proof < notBefore + slack || proof > world.clock.now()) return false;
    return proof > newestDenial(ref.vault) + slack && proof > doubt + slack;
  }

  /** As it is stored, or met by an instance that is about to store it. */
  function newestDenial(vault: string): number {
    const inVault = [...rows.links.values()].filter((row) => row.ref.vault === vault);
    const met = history.denials.flatMap(({ call, ofStranger }) => (call.vault === vault && !ofStranger ? (call.receivedAt ?? []) : []));
    return Math.max(-Infinity, ...met, ...inVault.flatMap((row) => Object.values(row.denials)));
  }

  function gateShouldOpen(primary: LinkRef, standby: LinkRef, operation: Asked['operation']): boolean {
    const wall = world.clock.now();
    const began = Math.min(rows.healths.get(primary.vault)?.outageSince ?? wall, wall);
    if (operation === 'wrap' && rows.links.get(linkKey(primary))?.refused.wrapKey !== undefined) return false;
    if (newestDenial(primary.vault) > wall - quietMs - slack || history.throttledAt(primary.vault) > world.now() - backedOffMs)
      return false;
    return provenEnough(primary, began - proofMaxAgeMs) && provenEnough(standby, began - 24 * 60 * minute);
  }

  function isSettled({ server, instance }: Asked, since: number): boolean {
    return instance.alive && history.clocksSound(since) && history.storeSound(since) && history.changedAt(server) <= since;
  }

  return {
    heard(asked) {
      const { answer, begunAt, operation, server } = asked;
      const since = begunAt - settlesMs;
      const registered = world.newest(server);
      const group = registered && groupOf(registered, asked);
      if (registered === undefined || group === undefined || !isSettled(asked, since)) return;
      if (standingAt(registered.server, world.clock.now()).state !== 'online' || !isOut(group.primary.vault, operation, begunAt)) return;
      const standby = soundStandby(group, operation, since);
      if (standby === undefined || !gateShouldOpen(refOf(registered, group.primary), refOf(registered, standby), operation)) return;
      counts.mustFailOver += 1;
      if (vaults.truth.get(group.primary.vault)?.trouble === null) counts.partialOutages += 1;
      if (answer?.ok !== true)
        breaks('F3', `${server} is refused ${operation} in an outage: ${answer?.refusal.code} ${answer?.refusal.detail}`);
    },
  };
}
