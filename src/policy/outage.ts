import type { VaultHealth } from '../domain/access.ts';
import { seconds, span } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';

/*
 * F3, F8: when an outage of a vault begins and ends. Each function is one transition of the vault's row, applied under compare-and-set.
 */

/** The number of F3 that matters here, as in `GateRules`. */
export interface OutageRules {
  readonly clockSkewMs: Millis;
}

/** So long must a vault have answered until its failover is told to have ended: one that is half back would tell it every few seconds. */
const answersFor = seconds(10);

/** A call met an outage: `outageSince` says when it began. Null: it is known already. */
export function outageMet(stored: VaultHealth, at: Instant, rules: OutageRules): VaultHealth | null {
  const { answeredAt: _past, ...rest } = stored;
  // One that begins in the future was stamped by a clock that has been set back since.
  return stored.outageSince !== null && !isAhead(stored.outageSince, at, rules) ? null : { ...rest, outageSince: at };
}

/**
 * A call that was sent at `sentAt` was answered. Null: nothing changes. Where `failoverSince` goes, the failover has ended.
 * Only a call that was sent after an outage began ends it; and no failover ends while an instance has its circuit open, for wraps alone too.
 */
export function vaultAnswered(stored: VaultHealth, sentAt: Instant, now: Instant, rules: OutageRules): VaultHealth | null {
  const { answeredAt, outageSince, failoverSince } = stored;
  if (outageSince === null) {
    if (failoverSince === null || Object.keys(stored.openAt).length > 0) return null;
    const lately = answeredAt !== undefined && !isAhead(answeredAt, now, rules) && span(answeredAt, sentAt) < answersFor;
    return lately ? null : { ...stored, failoverSince: null };
  }
  if (isAhead(outageSince, now, rules)) return { ...stored, outageSince: null, failoverSince: null };
  return sentAt <= outageSince ? null : { ...stored, outageSince: null, answeredAt: sentAt };
}

/** True of a time that only a clock which has been set back since can have stamped. */
function isAhead(at: Instant, now: Instant, { clockSkewMs }: OutageRules): boolean {
  return span(now, at) > clockSkewMs;
}
