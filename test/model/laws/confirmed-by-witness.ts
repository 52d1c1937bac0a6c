import { linkKey, sameAccess } from '../../../src/domain/access.ts';
import type { LinkAccess, LinkRef } from '../../../src/domain/access.ts';
import { keyNamed, troubleOf } from '../world/vaults.ts';
import { slack } from './law.ts';
import type { Bench, Law } from './law.ts';
import type { LatchTruth } from './history.ts';

/** Longest time from a first denial to its confirmation, without traffic (F6); two seconds for the answers. */
const confirmedWithinMs = 62_000;

/** F6: confirmed by two denials thirty seconds apart, and nothing that says otherwise in between; and within a minute, without traffic. */
export function confirmedByWitness({ world, history, counts, breaks }: Bench): Law {
  function confirmed({ ref, latch }: LinkAccess): void {
    counts.confirmed += 1;
    const firstDenialAt = latch?.firstDenialAt ?? 0;
    // In true time, by a wall clock that nobody has moved since.
    const told = firstDenialAt - (world.clock.now() - world.now());
    if (!history.clocksSound(told - slack)) return;
    const met = history.denials.filter(
      ({ call }) =>
        sameAccess(call, ref) && call.operation === 'unwrapKey' && call.receivedAt !== undefined && call.receivedAt >= firstDenialAt,
    );
    // A vault that the control plane knows as deleted is denied without an answer of its own (F9): then the latch's own word must do.
    const first = met.find(({ call }) => call.receivedAt === firstDenialAt)?.knownAt ?? told;
    const last = latch?.code === 'VaultDeleted' ? world.now() : (met.at(-1)?.knownAt ?? -Infinity);
    if (last - first < 30_000 - slack / 2) breaks('F6', `${linkKey(ref)} is confirmed ${last - first} ms after the first denial`);
  }

  /** The vault has said no to unwraps at the link since then, and would say it to every call. */
  function deniesSince({ vault: name, keyId, identity }: LinkRef, since: number): boolean {
    const vault = world.vaults.truth.get(name)!;
    if (vault.changedAt >= since || history.throttledAt(name) >= since - 30_000) return false;
    const byVault =
      (vault.deleted === 'nxdomain' && vault.trouble !== 'noToken') || (vault.deleted === null && vault.trouble === 'firewall');
    if (byVault) return true;
    const trouble = troubleOf(vault, 'unwrapKey');
    const answers = vault.deleted === null && (trouble === null || trouble === 'slow');
    return answers && (vault.forbidden.get(identity)?.has('unwrapKey') === true || vault.keys.get(keyNamed(keyId))!.state !== 'enabled');
  }

  /** Linked since then, and no standby of a primary that was latched itself at some time since: there nobody might look. */
  function mayBeLookedAt({ server, keyId }: LinkRef, since: number): boolean {
    const link = world.newest(server)?.links.find((one) => one.keyId === keyId);
    if (link === undefined || history.changedAt(server) >= since) return false;
    if (link.standbyOf === null) return true;
    const primary = { server, keyId: link.standbyOf };
    return !history.latches.has(linkKey(primary)) && history.releasedAt(primary) < since;
  }

  function lateToConfirm({ ref, since }: LatchTruth): boolean {
    if (world.rows.links.get(linkKey(ref))?.latch?.status !== 'suspected' || world.now() - since < confirmedWithinMs) return false;
    const before = since - 3000;
    return history.clocksSound(before) && history.storeSound(before) && mayBeLookedAt(ref, before) && deniesSince(ref, since);
  }

  return {
    link(before, after) {
      if (after.latch?.status === 'confirmed' && before?.latch?.status !== 'confirmed') confirmed(after);
    },
    look() {
      for (const [key, truth] of history.latches) {
        if (lateToConfirm(truth)) breaks('F6', `${key} is only suspected, ${world.now() - truth.since} ms after the first denial`);
      }
    },
  };
}
