/*
 * Leases of a vault's rate budget (B3), and why B2 holds with them.
 *
 * The claim: in every window of 10 s, wherever it starts, all instances together spend at most the limit, although nobody asks the store
 * about a single call, clocks differ by 2 s, and instances die.
 *
 * What counts is when a call reaches the vault, which nobody sees: at some time between the moment at which it is let through and its end,
 * at most the time of an attempt (2 s) later. So a call counts from its end, and until it has ended, from the last moment at which it can.
 * Both are upper bounds, and only those are needed.
 *
 * A lease may be spent for 1 s after it was drawn. The plain way is to count each lease for window + 1 s + 2 s + clock difference = 15 s,
 * which is safe and hands out 67 % of what the vault would take. What is lost is not knowledge of what was *drawn* but of when it was
 * *spent*. So the row says just that:
 * - Each instance keeps one holding in the row: its open lease, and what it spent in the last window, in steps of half a second, each with
 *   the time at which its last call ended; calls under way stand apart, with the time by which they will have, which lies ahead. It writes
 *   the holding as a whole with each draw; what was left of the lease before is given back by that. A lease whose calls have ended at once
 *   so counts for 10 s and not for 13. Whoever draws no more writes once more when its lease lapsed, and when what was under way has ended.
 * - Times inside a holding are relative to its write, by the holder's monotonic clock: exact. The only unknown is how long ago that write
 *   was. A reader takes the better of two lower bounds for this age: what the row says, which the last writer knew, and what it has seen
 *   of this holder before, since two monotonic clocks keep their distance. Neither needs a clock to be right; so among busy instances an
 *   age is known to some milliseconds, and each passes on what it knows. For a holder never seen before, the difference of the wall clocks
 *   less 2 s stands in for the second.
 *
 * Safety. Every call has an upper bound of the time at which it reaches the vault that every reader knows: for a spent step (write - ago),
 * for a lease (write + 1 s + 2 s). A draw is written only if all that is not older than a window by these bounds, with the new lease, fits
 * the limit. Take any window at the vault and the last lease in the row's order of which a call arrives in it: when it was decided on, every
 * other call of this window was in the row (a conditional write misses none), with a bound that lies less than one window before the
 * decision, which came before that arrival; so it was counted.
 * An instance that dies leaves its open lease: it counts for 13 s and is forgotten.
 *
 * While a draw is under way, calls go on from the old lease, but only as far as the new one would cover them too: whether the write comes
 * through, is lost to another instance or remains unknown, what is spent stays covered.
 */
import { add, fits, least, less, most, nothing, times } from '../domain/budget.ts';
import type { Amount, BudgetRow, Claim, Holding, Purse, Slowdown } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import { addClaims, extended, lessClaim, shareOf } from './claims.ts';
import type { RateRules } from './rate.ts';

/** One moment by both clocks of an instance. */
export interface Moment {
  readonly elapsed: Millis;
  readonly now: Instant;
}

/** Something another instance wrote, with the latest monotonic time of this instance at which that can have been. */
export interface Dated<T> {
  readonly value: T;
  readonly by: number;
}

/** A row as one instance sees it. */
export interface RowView {
  readonly readAt: Millis;
  readonly holdings: readonly Dated<Holding>[];
  readonly slowdown: Dated<Slowdown> | null;
}

/** A part of the budget that becomes free, by the monotonic clock. */
export interface Release {
  readonly at: number;
  readonly amount: Claim;
  /** Of an open lease, and of calls under way: how much sooner it is free at best, had all reached the vault at once. */
  readonly lastsMs?: Millis;
}

/** An instance repeats its claim after this many lease lives; what was said longer ago than that many is no longer believed. */
export const announcedLeases = 1;
const believedLeases = 3;

/** No draw is cut below this share of the limit by others who wait, lest 20 instances write for crumbs. */
export const smallestShare = 0.04;

/** How much faster one monotonic clock may run than another. */
const clockDrift = 1e-4;

/** Reads a row. `before` is what this instance saw last: it may know better since when things are so. */
export function viewRow(row: BudgetRow, before: RowView | null, at: Moment, rules: RateRules): RowView {
  /** For what was not seen before. What came into the row after the read before cannot be older than that read, whatever the clocks say. */
  const byWallClocks = (wroteAt: Instant): number =>
    Math.max(at.elapsed - (at.now - wroteAt - rules.clockSkewMs), before?.readAt ?? -Infinity);
  const holdings = row.holdings.map((value) => {
    const seen = before?.holdings.find((one) => sameHolder(one.value, value));
    return { value, by: Math.min(at.elapsed - value.ageMs, seen === undefined ? byWallClocks(value.wroteAt) : carriedOver(seen, value)) };
  });
  const slow = row.slowdown;
  const seenSlow = before?.slowdown?.value.at === slow?.at ? before?.slowdown : null;
  const slowdown = slow && { value: slow, by: Math.min(at.elapsed - slow.ageMs, seenSlow?.by ?? byWallClocks(slow.at)) };
  return { readAt: at.elapsed, holdings, slowdown };
}

function sameHolder(a: Holding, b: Holding): boolean {
  return a.instance === b.instance && a.purse === b.purse;
}

/** Two monotonic clocks keep their distance, but for their drift: what was known of an earlier write dates the later one too. */
function carriedOver(seen: Dated<Holding>, later: Holding): number {
  return seen.by + (later.wroteElapsed - seen.value.wroteElapsed) * (1 + clockDrift);
}

/**
 * When each part of what others may have spent leaves the window, in no order.
 * @param instance the reader, whose own holding is left out: it knows itself better.
 */
export function releases(view: RowView, purse: Purse, instance: string, rules: RateRules): Release[] {
  const list: Release[] = [];
  for (const { value, by } of view.holdings) {
    if (value.purse !== purse || value.instance === instance) continue;
    for (const spent of value.spent) {
      const underWay = spent.agoMs < 0 && { lastsMs: millis(Math.abs(spent.agoMs)) };
      list.push({ at: by - spent.agoMs + rules.windowMs, amount: spent, ...underWay });
    }
    if (value.lease.points > 0) {
      const lastsMs = millis(value.leaseMs + rules.attemptMs);
      list.push({ at: by + lastsMs + rules.windowMs, amount: value.lease, lastsMs });
    }
  }
  return list;
}

/** The sum of what is not yet released at `elapsed`. */
export function held(list: readonly Release[], elapsed: number): Amount {
  let points = 0;
  let service = 0;
  for (const release of list) {
    if (release.at <= elapsed) continue;
    points += release.amount.points;
    service += release.amount.service;
  }
  return { points, service };
}

/** The claims of the other instances, as far as they are recent. */
export function othersClaims(view: RowView, purse: Purse, instance: string, elapsed: number): Claim[] {
  const claims = believed(view, purse, instance, elapsed).map(({ claim }) => claim);
  return claims.filter(({ points }) => points > 0);
}

/** The part of the others' claims that was promised to nobody for later: what waits there now. */
export function othersWaiting(view: RowView, purse: Purse, instance: string, elapsed: number): Claim {
  const waiting = believed(view, purse, instance, elapsed).map(({ claim, promised = [] }) => promised.reduce<Claim>(lessClaim, claim));
  return waiting.reduce(addClaims, nothing);
}

/** The holdings of the other instances, as far as they are recent. */
export function believed(view: RowView, purse: Purse, instance: string, elapsed: number): Holding[] {
  const recent = othersOf(view, purse, instance).filter(({ value, by }) => elapsed - by <= value.leaseMs * believedLeases);
  return recent.map(({ value }) => value);
}

/** The holdings of the other instances. */
export function othersOf(view: RowView, purse: Purse, instance: string): Dated<Holding>[] {
  return view.holdings.filter(({ value }) => value.purse === purse && value.instance !== instance);
}

/** How much more than the last second's demand a lease covers, and for how many calls at least. */
const headroom = 1.25;
const fewestCalls = 3;

/** A demand that has just begun may be over: for more of it, no more of what is left than this share is drawn. */
const burstShare = 0.1;

/** What an instance has let through, by which it expects more. */
export interface Trend {
  /** In the last lease life. */
  readonly lastLease: Amount;
  /** In the rest of the window before. */
  readonly before: Amount;
}

/**
 * What an instance expects to spend beside what waits: as much as in the last lease life, and some calls like the one at hand. Where it spent
 * less in all of the window before, as when a quiet fleet asks at once, it leaves most of what is free to others: they may be about to ask,
 * and who finds nothing free sends his callers away for a window.
 * @param left what is free when all that waits has been served
 */
export function expectedDemand({ lastLease, before }: Trend, call: Amount, left: Amount): Amount {
  const burst = least(times(lastLease, headroom), times(left, burstShare));
  return most(most(times(least(lastLease, before), headroom), burst), times(call, fewestCalls));
}

/** What an instance asks for. */
export interface Ask {
  /** All that it could use now. */
  readonly want: Amount;
  /** All that it has to get, now and later: by this the budget is shared among instances that want more than there is. */
  readonly claim: Claim;
  /** The smallest lease that is of use: what the call at the head of its queue costs. */
  readonly atLeast: Amount;
}

/**
 * How much of what is free one instance takes: all that it wants if there is enough for all, else its share by its claim
 * (policy/claims.ts).
 * @returns {@link nothing} where not even the smallest useful lease is free.
 */
export function grant(ask: Ask, free: Amount, others: readonly Claim[], limit: Amount): Amount {
  const mine = extended(ask.claim, ask.want);
  const points = shareOf(free.points, mine, others, 'points');
  const service = shareOf(free.service, mine, others, 'service');
  const share = { points: points.share, service: service.share };
  // What is too little to be worth a write is made more, though not at the cost of those who ask for less than their part.
  const level = most(ask.atLeast, { points: points.level, service: service.level });
  const useful = least(level, most(ask.atLeast, times(limit, smallestShare)));
  const floor = least(useful, less(free, { points: points.spared, service: service.spared }));
  const lease = whole(least(ask.want, least(free, most(share, floor))));
  return lease.points > 0 && fits(ask.atLeast, lease) ? lease : nothing;
}

function whole(amount: Amount): Amount {
  return { points: Math.floor(amount.points), service: Math.floor(amount.service) };
}

/** The limit less what others and the reader itself have spent in the window or may still spend. */
export function freeOf(limit: Amount, others: Amount, own: Amount): Amount {
  return less(limit, add(others, own));
}

/**
 * All holdings with this instance's new one: others' are passed on with what the reader knows of their age, and forgotten once nothing of
 * them counts any more.
 */
export function holdingsWith(holding: Holding, view: RowView, at: Moment, rules: RateRules): Holding[] {
  const kept: Holding[] = [];
  for (const { value, by } of view.holdings) {
    const own = value.instance === holding.instance && value.purse === holding.purse;
    const over = by + value.leaseMs + rules.attemptMs + rules.windowMs <= at.elapsed;
    if (!own && !over) kept.push({ ...value, ageMs: agedBy(by, at) });
  }
  return [...kept, holding];
}

/** An age as it is written: a lower bound, so rounded down to whole milliseconds. */
export function agedBy(by: number, at: Moment): Millis {
  return millis(Math.max(0, Math.floor(at.elapsed - by)));
}
