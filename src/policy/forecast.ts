import type { Amount, Claim } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { markFor, partTo } from './claims.ts';
import type { Release } from './lease.ts';

/** What all instances expect to get, and what is spoken for. */
export interface Outlook {
  /** The rest of this instance's lease. */
  readonly left: Amount;
  /** What is free for all who wait. */
  readonly free: Amount;
  /** What becomes free, earliest first. */
  readonly releases: readonly Release[];
  /** What all instances together get in a window. */
  readonly limit: Amount;
  /** What waits at all other instances: supply is shared with it by what each has to get. */
  readonly othersWaiting: Claim;
  /** What they promised to callers who are still to come back, earliest first: it goes before whoever is told a time now. */
  readonly othersPromised: readonly Release[];
  readonly windowMs: Millis;
}

/** What a call needs that it can start. */
export interface Need {
  /** What goes before it now, and itself. */
  readonly load: Amount;
  /** What this instance promised to callers who go before it when they come back, earliest first. */
  readonly promised: readonly Release[];
  /** All that waits here: by it supply is shared with what waits elsewhere. Nothing: all of that goes before. */
  readonly claim: Claim;
  /** How much its server claims (policy/claims.ts): of servers elsewhere no more than that goes before. Absent: as the load is here. */
  readonly mark?: number;
  /** So many times as much is reckoned with: 1, or {@link cautionFor}. */
  readonly caution: number;
}

/** Promises are told in steps of half a second, by the beginning of each: in the middle they count as kept. */
const halfStepMs = 250;

/**
 * How long it takes until a call can start without taking what was promised to others (B4): from then on, all that is needed by any moment
 * is there by it, by both rules: which of them is the scarcer one is not known by the call, since what goes before it may be of other tiers
 * and keys. Whatever is spent now is free again a window later, so supply repeats.
 * @returns Infinity where the limit is zero.
 */
export function waitFor(need: Need, outlook: Outlook, elapsed: number): Millis {
  const { limit } = outlook;
  if (limit.points <= 0 || limit.service <= 0) return millis(Infinity);
  return millis(Math.max(waitBy('points', need, outlook, elapsed), waitBy('service', need, outlook, elapsed)));
}

function waitBy(by: keyof Amount, need: Need, outlook: Outlook, elapsed: number): number {
  const { limit, windowMs, free, releases } = outlook;
  const enough = balance(need, outlook, by);
  let startAt: number | undefined;
  let supply = 0;
  const reach = (at: number, grown: number): void => {
    if (!enough.holds(at, supply)) startAt = undefined;
    supply = grown;
    if (!enough.holds(at, supply)) startAt = undefined;
    else startAt ??= at;
  };
  for (let window = 0; window < longestWaitWindows; window += 1) {
    reach(elapsed + window * windowMs, free[by] + window * limit[by]);
    for (const { at, amount } of releases) {
      if (startAt !== undefined && enough.allCounted) break;
      reach(at + window * windowMs, supply + amount[by]);
    }
    if (startAt !== undefined && enough.allCounted) break;
  }
  return startAt === undefined ? longestWaitWindows * windowMs : Math.max(0, startAt - elapsed);
}

interface Balance {
  /** Whether all promises are counted. */
  readonly allCounted: boolean;
  /** Whether what is needed by a moment is there; asked with moments that only grow. @param supply of all instances up to then. */
  holds(at: number, supply: number): boolean;
}

function balance(need: Need, { left, othersWaiting, othersPromised }: Outlook, by: keyof Amount): Balance {
  const { load, promised, claim, caution, mark = markFor(load, claim) } = need;
  const own = upTo(promised, ({ amount }) => amount[by]);
  const others = upTo(othersPromised, ({ amount }) => partTo(amount, mark)[by]);
  const waitingHere = partTo(claim, mark)[by];
  const waitingElsewhere = partTo(othersWaiting, mark)[by];
  return {
    get allCounted() {
      return own.over && others.over;
    },
    holds(at, supply) {
      const mine = (load[by] + own.sum(at)) * caution;
      const waiting = Math.max(mine, waitingHere);
      const shared = waiting === 0 ? 0 : ((supply - others.sum(at) * caution) * waiting) / (waiting + waitingElsewhere);
      return left[by] + shared >= mine - 1e-6;
    },
  };
}

/** The sum of what is to be kept by a moment; asked for with moments that only grow. */
function upTo(promised: readonly Release[], counts: (one: Release) => number): { readonly over: boolean; sum(at: number): number } {
  let next = 0;
  let sum = 0;
  return {
    get over() {
      return next >= promised.length;
    },
    sum(at) {
      for (let one = promised[next]; one !== undefined && one.at + halfStepMs <= at; one = promised[next]) {
        sum += counts(one);
        next += 1;
      }
      return sum;
    },
  };
}

/** Added to an expected wait, in ms: for the write of the lease, and for others who write at the same moment. */
export const marginMs = 150;

/** A caller comes so much before its supply, in ms, but no earlier than this share of the time that it has. */
const earlyMs = 1000;
const earlyShare = 1 / 4;

/**
 * So long before its supply, in ms, a caller is told to come who has time enough: until then the others count it as one who is on its way. One
 * with less time comes later than that, and counts as one with a later supply, lest it be counted nowhere.
 */
export const onTheWayMs = earlyMs - marginMs;

/** No caller is sent away for longer than so many windows. */
const longestWaitWindows = 60;

/** Where other instances announce times too, so much more is reckoned with: what each knows of the others is a little old. */
const caution = 1.02;

/** What is reckoned with where a time is announced. @param rivals how many other instances have something to get. */
export function cautionFor(rivals: number): number {
  return rivals > 0 ? caution : 1;
}

/**
 * When a caller is told to come back whose supply is expected after `wait`: a little before it, to wait for the rest in the queue. So no
 * supply lies idle, Retry-After may be rounded up to a second, those who ask for the same meet and share one call (C4), and instances see
 * who came to which of them before they share.
 * @param within how long the caller could wait when it asked, in ms.
 */
export function announce(wait: Millis, within: number, windowMs: number): Millis {
  const supply = Math.ceil(Math.min(wait, windowMs * longestWaitWindows)) + marginMs;
  return millis(Math.max(marginMs, Math.floor(supply - earlyBy(within))));
}

/** How long before its supply a caller comes that can wait for so long, in ms. */
export function earlyBy(within: number): Millis {
  return millis(Math.min(earlyMs, within * earlyShare));
}
