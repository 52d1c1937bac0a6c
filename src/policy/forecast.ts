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
