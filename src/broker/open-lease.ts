import type { Amount } from '../domain/budget.ts';
import type { RateRules } from '../policy/rate.ts';

/** A lease that is being spent (B3). Times by the monotonic clock. */
export interface OpenLease {
  points: number;
  service: number;
  readonly size: Amount;
  readonly renewAt: number;
  readonly lapsesAt: number;
  /** Cut from the fixed fraction, not drawn. */
  readonly away: boolean;
}

/** A lease is renewed after so much of its life, or when less than so much of it is left: before a call has to wait. */
const renewAfter = 0.7;
const renewBelow = 0.3;

/** What is more than this share of the limit is worth a write of its own, so that the row counts it no longer than it must. */
const worthTelling = 0.02;

/** A lease of which more than this share of the limit is left is given back sooner, when nothing was spent of it for this share of its life. */
const muchLeft = 0.1;
const idleShare = 0.25;

/** @param left what of `size` may be spent still. @param at when it was drawn. */
export function openLease(left: Amount, size: Amount, at: number, { leaseMs }: RateRules): OpenLease {
  return { ...left, size, renewAt: at + leaseMs * renewAfter, lapsesAt: at + leaseMs, away: false };
}

/** A slice of the fixed fraction: nothing is drawn before it lapsed. */
export function awayLease(size: Amount, at: number, { leaseMs }: RateRules): OpenLease {
  return { ...size, size, renewAt: at + leaseMs, lapsesAt: at + leaseMs, away: true };
}

/** Whether the next lease should be drawn now so that later calls need not wait. */
export function isRenewalDue({ points, service, size, renewAt }: OpenLease, now: number): boolean {
  return now >= renewAt || points < size.points * renewBelow || service < size.service * renewBelow;
}

/** Whether the row should be told soon what became of so much. */
export function isWorthTelling(amount: Amount, limit: Amount): boolean {
  return amount.points > limit.points * worthTelling;
}

/**
 * When the row should be told what became of a lease, if no draw does it: until then others count all of it to its last moment. Sooner for
 * much that lies idle, so that no other instance starves beside it. Infinity if it is too little to matter.
 * @param usedAt when something was spent of it last.
 */
export function givenBackAt({ points, service, size, lapsesAt }: OpenLease, usedAt: number, limit: Amount, { leaseMs }: RateRules): number {
  if (points > limit.points * muchLeft || service > limit.service * muchLeft) return Math.min(lapsesAt, usedAt + leaseMs * idleShare);
  return isWorthTelling(size, limit) ? lapsesAt : Infinity;
}
