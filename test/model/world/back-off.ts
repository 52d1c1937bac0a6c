import { millis, seconds } from '../../../src/domain/time.ts';
import type { Admission } from '../../../src/ports/admission.ts';
import type { Clock } from '../../../src/ports/clock.ts';

/** Longest step of the back-off (F7); after a time as long without a 429 it begins anew. */
export const longestStepMs = seconds(16);

/**
 * Admission as far as F7 goes, of one instance: a vault that throttled is left in peace for 1, 2, 4, 8, 16 s. The rate budget itself has a
 * model of its own (`budget.test.ts`): here it lets every other call through.
 */
export function backingOff(clock: Clock, onThrottled: (vault: string) => void): Admission {
  const halts = new Map<string, { readonly stepMs: number; readonly until: number }>();
  return {
    admit({ vault }) {
      const left = (halts.get(vault)?.until ?? 0) - clock.elapsed();
      return left > 0 ? millis(left) : undefined;
    },
    keep: (_, { comeBack }) => Promise.resolve(comeBack),
    ended: () => undefined,
    throttled(vault) {
      onThrottled(vault);
      const known = halts.get(vault);
      const now = clock.elapsed();
      // What was under way when the back-off began belongs to the same burst.
      if (known !== undefined && known.until > now) return millis(known.until - now);
      const goesOn = known !== undefined && now - known.until < longestStepMs;
      const stepMs = goesOn ? Math.min(longestStepMs, known.stepMs * 2) : seconds(1);
      halts.set(vault, { stepMs, until: now + stepMs });
      return millis(stepMs);
    },
    usage: () => Promise.resolve({ used: 0, limit: 1000, windowMs: millis(10_000), byKeyType: {} }),
  };
}
