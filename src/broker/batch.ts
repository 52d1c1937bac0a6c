import type { RequestContext } from '../domain/caller.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import { createAuthority, ownServer, stateAllows } from './authority.ts';
import type { Parts } from './parts.ts';
import type { BatchRequest, Roads } from './roads.ts';

/** So many items of a batch are under way at once: enough to fill a vault's budget, few enough to bound memory. */
const atOnce = 48;

/**
 * A batch is its items, each on the road that a single call takes: admitted, gated and recorded on its own. What is decided once is whether
 * the caller may use this server at all. Items whose turn does not come before the deadline are cancelled, and say so.
 */
export function createBatch(parts: Pick<Parts, 'registry' | 'clock'>): Pick<Roads, 'batch'> {
  const { clock } = parts;
  const { seeServer } = createAuthority(parts);

  return {
    async batch<T>({ server, size, item }: BatchRequest<T>, context: RequestContext): Promise<Outcome<readonly Outcome<T>[]>> {
      const seen = await seeServer(
        server,
        (registered) => ownServer(context.caller, registered) ?? stateAllows(registered, 'operate', clock.now()),
      );
      if (!seen.ok) return seen;
      const results = new Array<Outcome<T>>(size);
      const indices = results.keys();
      const worker = async (): Promise<void> => {
        for (const index of indices) {
          const late = clock.elapsed() >= context.deadline;
          results[index] = late ? cancelled() : await item(index, { ...context, requestId: `${context.requestId}/${index}` });
        }
      };
      await Promise.all(Array.from({ length: Math.min(atOnce, size) }, worker));
      return done(results);
    },
  };
}

function cancelled(): Outcome<never> {
  return refuse('DeadlineExceeded', 'cancelled: the time for the batch was over before it was the turn of this item', { retryable: true });
}
