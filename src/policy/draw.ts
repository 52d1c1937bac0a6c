import { add, fits, less, most, nothing, sumOf } from '../domain/budget.ts';
import type { Amount, BudgetRow, Claim, Holding, Purse, Spent } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import { lessServed } from './claims.ts';
import { announcedLeases, expectedDemand, freeOf, grant, held, holdingsWith, othersClaims, releases } from './lease.ts';
import type { Moment, Release, RowView, Trend } from './lease.ts';
import type { ExpectedAt } from './promises.ts';
import { limitOf } from './rate.ts';
import type { RateRules } from './rate.ts';
import { passedOn, slowed } from './slowdown.ts';

/** What an instance has to get: now, for its queue and for callers that are due back; and in all, with those told to come later. */
export interface Demand {
  readonly waiting: Claim;
  readonly claim: Claim;
  /** What the others are told of it: without callers who may come to any instance by now. */
  readonly announced: Claim;
  /** The part of that which was promised for later, by the monotonic clock, earliest first. */
  readonly promised: readonly Release[];
  /** Who was told to come back, by the monotonic clock, earliest first. */
  readonly expected: readonly ExpectedAt[];
}

/** All that decides a draw. */
export interface DrawState {
  readonly purse: Purse;
  readonly instance: string;
  readonly view: RowView;
  readonly demand: Demand;
  /** Cost of one call; nothing: no lease is wanted, only the row is to know what was spent. */
  readonly atLeast: Amount;
  /** What this instance spent in the last window, as the row will have it. */
  readonly spent: readonly Spent[];
  /** What it spent in the last lease life, and in the window before. */
  readonly trend: Trend;
  /** What others may have spent while the store was away and not told yet. */
  readonly unreported: Amount;
  /** Whether the row lacks something that was spent. */
  readonly owing: boolean;
}

/** What grew by more than this share of the limit is told at once: others promise supply by what the row says. */
const newsShare = 0.02;

/** What a draw writes. */
export interface Draw {
  readonly row: BudgetRow;
  /** The new lease; nothing where none was free, or none was wanted. */
  readonly lease: Amount;
}

/**
 * Decides a draw (B3).
 * @returns null where a write would tell the row nothing of use.
 */
export function decideDraw(state: DrawState, at: Moment, rules: RateRules): Draw | null {
  const { purse, instance, view, demand } = state;
  const lease = leaseFor(state, at, rules);
  const written = view.holdings.find(({ value }) => value.instance === instance && value.purse === purse);
  const stale = written === undefined || at.elapsed - written.by > rules.leaseMs * announcedLeases;
  const announces = (stale || isNews(demand, written.value, limitOf(purse, rules))) && demand.announced.points > 0;
  const givesBack = written !== undefined && written.value.lease.points > 0;
  if (lease.points === 0 && !givesBack && !announces && !state.owing) return null;
  const holding = {
    instance,
    purse,
    wroteAt: at.now,
    wroteElapsed: at.elapsed,
    ageMs: millis(0),
    lease,
    leaseMs: rules.leaseMs,
    claim: lessServed(demand.announced, lease),
    promised: demand.promised.map(({ at: due, amount }) => ({ ...amount, inMs: millis(Math.max(0, Math.floor(due - at.elapsed))) })),
    expected: demand.expected.map(({ at: from, tags }) => ({ inMs: millis(Math.floor(from - at.elapsed)), tags })),
    spent: state.spent,
  };
  return { row: { holdings: holdingsWith(holding, view, at, rules), slowdown: passedOn(view, at) }, lease };
}

/** Whether what waits or what was promised grew much since the others were told. */
function isNews({ announced, promised }: Demand, { claim, promised: told = [] }: Holding, limit: Amount): boolean {
  const grownBy = most(less(announced, claim), less(sumOf(promised.map(({ amount }) => amount)), sumOf(told)));
  return grownBy.points > limit.points * newsShare;
}

function leaseFor(state: DrawState, at: Moment, rules: RateRules): Amount {
  const { purse, instance, view, atLeast } = state;
  if (atLeast.points === 0) return nothing;
  const { waiting, claim } = state.demand;
  const limit = slowed(limitOf(purse, rules), view, at.elapsed);
  const own = add(state.spent.reduce<Amount>(add, nothing), state.unreported);
  const free = freeOf(limit, held(releases(view, purse, instance, rules), at.elapsed), own);
  const others = othersClaims(view, purse, instance, at.elapsed);
  // Where all is claimed, nothing is drawn on suspicion.
  const scarce = !fits(add(claim, sumOf(others)), free);
  const want = scarce ? most(waiting, atLeast) : add(waiting, expectedDemand(state.trend, atLeast, less(free, waiting)));
  return grant({ want, claim, atLeast }, free, others, limit);
}
