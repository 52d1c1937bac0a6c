import { times } from '../domain/budget.ts';
import type { Amount } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { Release } from './lease.ts';

/** What an instance expects to get. */
export interface Outlook {
  /** The rest of its lease. */
  readonly left: Amount;
  /** What is free for all who wait. */
  readonly free: Amount;
  /** What becomes free, earliest first. */
  readonly releases: readonly Release[];
  /** What all instances together get in a window. */
  readonly limit: Amount;
  /** What this instance has to get, and what all others have to: supply is shared by these. */
  readonly claim: Amount;
  readonly othersClaims: Amount;
  readonly windowMs: Millis;
}

/**
 * How long it takes until `load` can have been spent: the wait of a call, where `load` is the call with all that goes before it (B4).
 * Reckoned by the scarcer of the two rules alone. Whatever is spent now is free again a window later, so supply repeats by windows.
 * @returns Infinity where the limit is zero.
 */
export function waitFor(load: Amount, outlook: Outlook, elapsed: number): Millis {
  const { limit, windowMs } = outlook;
  if (limit.points <= 0 || limit.service <= 0) return millis(Infinity);
  const by = load.points / limit.points >= load.service / limit.service ? 'points' : 'service';
  const claim = Math.max(load[by], outlook.claim[by]);
  const share = claim / (claim + outlook.othersClaims[by]);
  const windows = Math.max(0, Math.ceil(load[by] / (limit[by] * share)) - 1);
  let missing = load[by] - windows * limit[by] * share - outlook.left[by] - outlook.free[by] * share;
  if (missing <= 0) return millis(windows * windowMs);
  for (const release of outlook.releases) {
    missing -= release.amount[by] * share;
    if (missing <= 1e-6) return millis(Math.max(0, release.at - elapsed) + windows * windowMs);
  }
  return millis((windows + 1) * windowMs);
}

/** Added to an expected wait, in ms: for the write of the lease, and for others who write at the same moment. */
export const marginMs = 150;

/** A caller comes so much before its supply, in ms, but no earlier than this share of the time that it has. */
const earlyMs = 1000;
const earlyShare = 1 / 4;

/** No caller is sent away for longer than so many windows. */
const longestWaitWindows = 60;

/** Where other instances announce times too, so much more is reckoned with: what each knows of the others is a little old. */
const caution = 1.1;

/** What is reckoned to be served until a call's time, when that is announced. @param rivals how many other instances have something to get. */
export function promised(load: Amount, rivals: number): Amount {
  return rivals > 0 ? times(load, caution) : load;
}

/**
 * When a caller is told to come back whose supply is expected after `wait`: a little before it, to wait for the rest in the queue. So no
 * supply lies idle, Retry-After may be rounded up to a second, those who ask for the same meet and share one call (C4), and instances see
 * who came to which of them before they share.
 * @param within how long the caller could wait when it asked, in ms.
 */
export function announce(wait: Millis, within: number, windowMs: number): Millis {
  const supply = Math.ceil(Math.min(wait, windowMs * longestWaitWindows)) + marginMs;
  return millis(Math.max(marginMs, Math.floor(supply - Math.min(earlyMs, within * earlyShare))));
}
