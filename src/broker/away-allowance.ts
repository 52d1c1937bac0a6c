import { add, fits, least, less, nothing, times } from '../domain/budget.ts';
import type { Amount } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { RowView } from '../policy/lease.ts';
import type { RateRules } from '../policy/rate.ts';
import type { Spending } from './spending.ts';

/** A write that has no answer after this long is treated like a store that is away: its calls need not wait for the time limit. */
const slowStoreMs = 500;

/** What is known of a budget when the store is away. */
export interface KnownBudget {
  readonly limit: Amount;
  readonly others: Amount;
  /** When the row was read last, by the monotonic clock; null if it never was. */
  readonly readAt: number | null;
  /** Cost of the call that waits. */
  readonly atLeast: Amount;
}

/** Others may have drawn after this instance's last read. It reckons with a full pace, but with no more than this share of the limit. */
const unseenShare = 0.5;

/** A slice that is made for one call must hold it, whatever its division and multiplication left of the last digit. */
const roundingUp = 1 + 1e-9;

/**
 * What an instance may spend while the store is away (B3): its fixed fraction of what is not known to be spent, spread over the window.
 *
 * The bound: instances whose fractions add up to 1 stay inside the budget by what each knew when the store went. What others drew after an
 * instance's last read cannot be known, so for one window it reckons with a full pace of it. Only if the store goes in the very second in
 * which a storm begins may the window over that second hold more, by at most the fraction of each instance that did not see the storm.
 *
 * When the store is back, what was spent is reported with the first draw. Others may still have theirs to report, so until a window has
 * passed the instance assumes that they spent their fractions too; unless it sees that they could write all the time.
 */
export class AwayAllowance {
  readonly #rules: RateRules;
  readonly #spending: Spending;
  #since: number | null = null;
  /** When the last draw began that failed: what others wrote later they may have written with the store back already. */
  #lastFailure = 0;
  #attemptAt: number | null = null;
  #sliceAt = -Infinity;
  /** The last time the store was away, from and to: others may not have reported yet what they spent then. */
  #gap: { readonly from: number; readonly to: number } | null = null;

  constructor(rules: RateRules, spending: Spending) {
    this.#rules = rules;
    this.#spending = spending;
  }

  /** A draw begins. */
  attempt(now: number): void {
    this.#attemptAt = now;
  }

  failed(now: number): void {
    this.#since ??= this.#attemptAt ?? now;
    this.#lastFailure = this.#attemptAt ?? now;
    this.#attemptAt = null;
  }

  /** The store answered. */
  back(now: number): void {
    if (this.#since !== null) this.#since = null;
    else if (this.#gap !== null && now >= this.#gap.to + this.#rules.windowMs) this.#gap = null;
    this.#attemptAt = null;
  }

  /** Looks at the first row after the store was away: a holding written meanwhile shows that only this instance was cut off. */
  compare(before: RowView | null, after: RowView, instance: string): void {
    const since = this.#since;
    if (since === null) return;
    const others = after.holdings.some(({ value, by }) => {
      const known =
        before?.holdings.some((seen) => seen.value.instance === value.instance && seen.value.wroteElapsed === value.wroteElapsed) ?? false;
      return value.instance !== instance && !known && by <= this.#lastFailure && by > since + this.#rules.leaseMs;
    });
    this.#gap = others ? null : { from: since, to: after.readAt };
  }

  inForce(now: number): boolean {
    return this.#since !== null || (this.#attemptAt !== null && now - this.#attemptAt >= slowStoreMs);
  }

  /** When a slice may be due next; Infinity while the store answers. */
  nextSlice(now: number): number {
    if (!this.inForce(now)) return this.#attemptAt === null ? Infinity : this.#attemptAt + slowStoreMs;
    return Math.max(now + this.#rules.leaseMs / 10, this.#sliceAt + this.#rules.leaseMs);
  }

  /**
   * The next slice of the fraction; null where none is due, or less than `atLeast` is left of it.
   * @param known.others what others are known to have spent or to hold, as of `known.readAt`.
   */
  slice(known: KnownBudget, now: number): Amount | null {
    if (!this.inForce(now)) return null;
    const { awayShare, leaseMs, windowMs } = this.#rules;
    const from = now - windowMs;
    const others = add(known.others, this.#unseen(known.limit, known.readAt, now));
    const unspent = less(less(known.limit, others), this.#spending.sum(from, 'leased'));
    const room = less(times(unspent, awayShare), this.#spending.sum(from, 'away'));
    const pace = times(known.limit, awayShare / windowMs);
    const spanMs = Math.max(leaseMs, known.atLeast.points / pace.points, known.atLeast.service / pace.service);
    const size = least(room, times(pace, spanMs));
    if (now - this.#sliceAt < spanMs || !fits(known.atLeast, times(size, roundingUp))) return null;
    this.#sliceAt = now;
    return { points: Math.floor(size.points * roundingUp), service: Math.floor(size.service * roundingUp) };
  }

  /** What others may have drawn between the last read and the loss of the store, until a window has passed. */
  #unseen(limit: Amount, readAt: number | null, now: number): Amount {
    const { windowMs, leaseMs } = this.#rules;
    const since = this.#since ?? this.#attemptAt ?? now;
    if (now > since + leaseMs + windowMs) return nothing;
    return times(limit, Math.min(unseenShare, readAt === null ? 1 : Math.max(0, since - readAt) / windowMs));
  }

  /** How long a call waits that has `load` before it, itself included. */
  wait(load: Amount, limit: Amount, left: Amount): Millis {
    const pace = times(limit, this.#rules.awayShare / this.#rules.windowMs);
    const rest = less(load, left);
    return millis(Math.max(rest.points / pace.points, rest.service / pace.service));
  }

  /** What others may have spent while the store was away and not reported yet. */
  unreported(limit: Amount, now: number): Amount {
    if (this.#gap === null) return nothing;
    const { windowMs, awayShare } = this.#rules;
    const inWindow = Math.max(0, this.#gap.to - Math.max(this.#gap.from, now - windowMs));
    return times(limit, ((1 - awayShare) * inWindow) / windowMs);
  }
}
