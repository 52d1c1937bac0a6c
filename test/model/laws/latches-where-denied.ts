import { linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkAccess } from '../../../src/domain/access.ts';
import { isDenial } from '../../../src/domain/fault.ts';
import { groupByThumbprint } from '../../../src/domain/server.ts';
import { refOf } from '../world/fleet.ts';
import { isLatched } from '../world/store.ts';
import { thumbprintOf } from '../world/vaults.ts';
import type { Asked } from '../world/world.ts';
import { settlesMs } from './law.ts';
import type { Bench, Law } from './law.ts';

/**
 * F4, F7, F9, T33: a latch is set where an unwrap was denied, and nowhere else: not by an outage, a throttle or a doubt, and not at the
 * neighbours of the link. Once a caller has heard of a denial its latch is durable, whatever is killed next.
 */
export function latchesWhereDenied({ world, history, counts, breaks }: Bench): Law {
  function wasDenied({ ref, latch }: LinkAccess): boolean {
    if (history.toldDeleted(ref.vault)) return true;
    return history.denials.some(
      ({ call }) => sameAccess(call, ref) && call.operation === 'unwrapKey' && call.receivedAt === latch?.newestDenialAt,
    );
  }

  function stands({ server, key, begunAt }: Asked): boolean {
    const registered = world.newest(server);
    const group = registered && groupByThumbprint(registered, thumbprintOf(key));
    if (registered === undefined || group === undefined) return true;
    const ref = refOf(registered, group.primary);
    return isLatched(world.rows, ref) || history.releasedAt(ref) >= begunAt;
  }

  return {
    answered({ fault }) {
      if (fault !== undefined && isDenial(fault.class) && !fault.outsideValidity) counts.denials += 1;
    },

    link(before, after, events) {
      const [was, is] = [before?.latch ?? null, after.latch];
      if (is === null || is.generation === was?.generation) return;
      if (!wasDenied(after))
        breaks(is.code === 'VaultDeleted' ? 'F9' : 'F4', `${linkKey(after.ref)} is latched, and no unwrap was denied there`);
      if (was?.status === 'confirmed' && is.status === 'suspected') breaks('F6', `${linkKey(after.ref)} goes back from confirmed`);
      const told = events.some(({ type, subject }) => type === `keybroker.latch.${is.status}` && subject === after.ref.server);
      if (was?.status !== is.status && !told) breaks('P2', `${linkKey(after.ref)} is ${is.status} without an event`);
    },

    heard(asked) {
      const { answer, operation, server } = asked;
      if (operation !== 'unwrap' || answer?.ok !== false || answer.refusal.code !== 'KeyAccessDenied') return;
      // By an old copy the key may have been tried at a link that is none any more.
      if (world.now() - history.changedAt(server) < settlesMs) return;
      if (!stands(asked)) breaks('F4', `${server} hears of a denial that is not stored`);
    },
  };
}
