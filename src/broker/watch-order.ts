import { accessKey, sameLink } from '../domain/access.ts';
import type { LinkAccess, LinkRef } from '../domain/access.ts';
import { latest, span } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import type { DenialRules } from '../policy/denial.ts';
import { inFuture } from '../policy/denial.ts';
import type { Clock } from '../ports/clock.ts';
import type { WitnessTarget } from './witness.ts';

/** A linked key with what was stored of it when the pass of the watch began. */
export interface Watched extends WitnessTarget {
  readonly stored: LinkAccess;
}

/**
 * Whose turn it is, where a pass has room for some only. Who was looked at goes to the back, whatever came of it: keys at which nothing
 * comes out, since they are poisoned or throttled, keep no other from its turn.
 */
export interface WatchOrder {
  /** F6: suspects whose first denial is old enough, in order of first denial, but for those that were looked at in vain since. */
  suspects(targets: readonly Watched[]): readonly Watched[][];
  /** Confirmed latches: a canary finds out when access is back (A3), those longest not looked at first. */
  confirmed(targets: readonly Watched[]): readonly Watched[][];
  /** Those longest without a proof, and not looked at, first. */
  unproven<T extends { readonly target: Watched; readonly provenAt: Instant | null }>(due: readonly T[]): readonly T[];
  /** A canary went to the key by its identity. */
  looked(ref: LinkRef, at: Instant): void;
  /** A pass begins: what was noted of keys of the vault that are no longer linked goes. */
  keepOnly(vault: string, targets: readonly Watched[]): void;
}

export function createWatchOrder(clock: Clock, rules: DenialRules): WatchOrder {
  const looks = new Map<string, Map<string, Instant>>();

  function lookedAt({ ref }: Watched): Instant | null {
    const at = looks.get(ref.vault)?.get(accessKey(ref)) ?? null;
    // One that a clock stamped which has been set back since would wait for as long.
    return at !== null && at <= clock.now() ? at : null;
  }

  return {
    suspects(targets) {
      const now = clock.now();
      const due = targets.flatMap((target) => {
        const { latch } = target.stored;
        if (latch?.status !== 'suspected') return [];
        const first = latch.firstDenialAt;
        if (span(first, now) < rules.witnessAfterMs && !inFuture(first, now)) return [];
        const looked = lookedAt(target) ?? 0;
        return { target, first, inVain: looked > first ? looked : 0 };
      });
      due.sort((a, b) => a.inVain - b.inVain || a.first - b.first);
      return together(due.map(({ target }) => target));
    },

    confirmed(targets) {
      const latched = targets.flatMap((target) => {
        const { latch } = target.stored;
        return latch?.status === 'confirmed' ? { target, seen: latest(latch.newestDenialAt, lookedAt(target)) ?? 0 } : [];
      });
      return together(latched.sort((a, b) => a.seen - b.seen).map(({ target }) => target));
    },

    unproven(due) {
      const seen = ({ target, provenAt }: (typeof due)[number]): number => latest(provenAt, lookedAt(target)) ?? 0;
      return due.toSorted((a, b) => seen(a) - seen(b));
    },

    looked(ref, at) {
      const ofVault = looks.get(ref.vault) ?? new Map<string, Instant>();
      looks.set(ref.vault, ofVault.set(accessKey(ref), at));
    },

    keepOnly(vault, targets) {
      const linked = new Set(targets.map(({ ref }) => accessKey(ref)));
      looks.set(vault, new Map([...(looks.get(vault) ?? [])].filter(([key]) => linked.has(key))));
    },
  };
}

/** Links of the same key id and identity, in the order of their first: they share proofs and witnesses. */
export function together(targets: readonly Watched[]): Watched[][] {
  const groups = new Map<string, Watched[]>();
  for (const target of targets) {
    const key = accessKey(target.ref);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [target]);
    else if (!group.some((one) => sameLink(one.ref, target.ref))) group.push(target);
  }
  return [...groups.values()];
}
