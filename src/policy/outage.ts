import type { VaultHealth } from '../domain/access.ts';
import { earliest, latest, millis, plus, seconds, span } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';

/*
 * F3, F8: when an outage of a vault begins and ends. Each function is one transition of the vault's row, applied under compare-and-set.
 *
 * An outage that lasts ages no proof: nobody could have used, or seen the loss of, what it proves. A vault that is half back answers now and
 * then, by one key of hundreds, and is down again: then the outage goes on, with its beginning moved by as long as the vault answered. So a
 * proof ages by the time in which its vault answered, and by no other.
 */

/** The numbers of F3 that matter here, as in `GateRules`. */
export interface OutageRules {
  readonly proofMaxAgeMs: Millis;
  readonly clockSkewMs: Millis;
}

/** So long must a vault have answered until its failover is told to have ended: one that is half back would tell it every few seconds. */
const answersFor = seconds(10);

/** A call met an outage: `outageSince` says when it began. Null: it is known already. */
export function outageMet(stored: VaultHealth, at: Instant, rules: OutageRules): VaultHealth | null {
  const { lastOutage, ...rest } = stored;
  if (stored.outageSince !== null && !isAhead(stored.outageSince, at, rules)) return null;
  const begun = { ...rest, outageSince: at };
  // One that begins, or ended, in the future was stamped by a clock that jumped: nothing goes on from it.
  if (stored.outageSince !== null || lastOutage === undefined || isAhead(lastOutage.endedAt, at, rules)) return begun;
  const gap = answeredFor(lastOutage.endedAt, at, rules);
  const answeredMs = millis(lastOutage.answeredMs + gap);
  // No proof from before the first of these outages counts any more; those that were made since are judged by the new beginning.
  if (answeredMs > rules.proofMaxAgeMs) return begun;
  return { ...rest, outageSince: earliest(plus(lastOutage.since, gap), at), lastOutage: { ...lastOutage, answeredMs, resumedAt: at } };
}

/** Rather too long than too short, as clocks differ; but a flicker, which is shorter than they do, counts for what it seems. */
function answeredFor(endedAt: Instant, at: Instant, { clockSkewMs }: OutageRules): Millis {
  const seems = Math.max(0, span(endedAt, at));
  return millis(seems > clockSkewMs ? seems + clockSkewMs : seems);
}

/**
 * A call that was sent at `sentAt` was answered. Null: nothing changes. Where `failoverSince` goes, the failover has ended.
 * Only a call that was sent after an outage began ends it.
 */
export function vaultAnswered(stored: VaultHealth, sentAt: Instant, now: Instant, rules: OutageRules): VaultHealth | null {
  const { lastOutage, ...rest } = stored;
  const { outageSince, failoverSince } = stored;
  if (outageSince === null) {
    if (failoverSince === null) return null;
    const lately = lastOutage !== undefined && !isAhead(lastOutage.endedAt, now, rules) && span(lastOutage.endedAt, sentAt) < answersFor;
    return lately ? null : { ...stored, failoverSince: null };
  }
  const metAt = latest(outageSince, lastOutage?.resumedAt) ?? outageSince;
  if (isAhead(metAt, now, rules)) return { ...rest, outageSince: null, failoverSince: null };
  if (sentAt <= metAt) return null;
  const ended = { since: outageSince, endedAt: sentAt, answeredMs: lastOutage?.answeredMs ?? millis(0) };
  return { ...rest, outageSince: null, lastOutage: ended };
}

/** True of a time that only a clock which has been set back since can have stamped. */
function isAhead(at: Instant, now: Instant, { clockSkewMs }: OutageRules): boolean {
  return span(now, at) > clockSkewMs;
}
