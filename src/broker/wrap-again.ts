import { wrapsGoTo } from '../policy/audit-rules.ts';
import type { AttemptParts } from './key-call.ts';
import { createLinkCalls, letGoAsProbe } from './link-calls.ts';
import type { WitnessTarget } from './witness.ts';

/**
 * F4: a wrap that was denied when the whole link was is refused until one succeeds there. Without traffic nobody would see that access came
 * back whole, so where the latch of a link was released one canary is wrapped: what it meets counts like anything else.
 *
 * @param latched links that were latched before the canary that succeeded was sent. Rejects with `StoreAway`.
 */
export type WrapAgain = (latched: readonly WitnessTarget[]) => Promise<void>;

export function createWrapAgain({ parts, access, outages }: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): WrapAgain {
  const calls = createLinkCalls({ parts, access, outages });
  const asProbe = letGoAsProbe(parts);

  function isDue({ registered, link, ref }: WitnessTarget): boolean {
    const known = access.known(ref);
    return known?.latch === null && known.refused.wrapKey !== undefined && wrapsGoTo(registered.links, link);
  }

  return async (latched) => {
    for (const target of latched.filter(isDue)) await calls.wrap(target, asProbe);
  };
}
