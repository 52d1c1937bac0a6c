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

/** A call met an outage: `outageSince` says when it began. Null: it is known already, and nothing was answered since. */
export function outageMet(stored: VaultHealth, at: Instant, rules: OutageRules): VaultHealth | null {
  const { answeredAt, ...rest } = stored;
  // One that begins in the future was stamped by a clock that has been set back since.
  if (stored.outageSince === null || isAhead(stored.outageSince, at, rules)) return { ...rest, outageSince: at };
  return answeredAt === undefined ? null : rest;
}

/**
 * A call that was sent at `sentAt` was answered. Null: nothing changes. Where `failoverSince` goes, the failover has ended.
 * Only a call that was sent after an outage began ends it; and no failover ends while an instance has its circuit open, for wraps alone too.
 */
export function vaultAnswered(stored: VaultHealth, sentAt: Instant, now: Instant, rules: OutageRules): VaultHealth | null {
  const { outageSince } = stored;
  if (outageSince === null) return failoverEnded(stored, sentAt, now, rules);
  if (isAhead(outageSince, now, rules)) return { ...stored, outageSince: null, failoverSince: null };
  return sentAt <= outageSince ? null : { ...stored, outageSince: null, answeredAt: sentAt };
}

/**
 * A call was denied at `at`, also since the name of the vault is gone: a failover from it ends in the same time as by a success. The outage
 * stays: it is the first after the last success (F3). As `vaultAnswered` otherwise.
 */
export function vaultDenied(stored: VaultHealth, at: Instant, now: Instant, rules: OutageRules): VaultHealth | null {
  const { answeredAt, outageSince } = stored;
  if (outageSince === null || answeredAt !== undefined) return failoverEnded(stored, at, now, rules);
  const before = at <= outageSince && !isAhead(outageSince, now, rules);
  return before || !mayEnd(stored) ? null : { ...stored, answeredAt: at };
}

/** The end of a failover whose vault has answered for long enough. */
function failoverEnded(stored: VaultHealth, at: Instant, now: Instant, rules: OutageRules): VaultHealth | null {
  const { answeredAt } = stored;
  const lately = answeredAt !== undefined && !isAhead(answeredAt, now, rules) && span(answeredAt, at) < answersFor;
  return lately || !mayEnd(stored) ? null : { ...stored, failoverSince: null };
}

function mayEnd({ failoverSince, openAt }: VaultHealth): boolean {
  return failoverSince !== null && Object.keys(openAt).length === 0;
}

/** True of a time that only a clock which has been set back since can have stamped. */
function isAhead(at: Instant, now: Instant, { clockSkewMs }: OutageRules): boolean {
  return span(now, at) > clockSkewMs;
}
