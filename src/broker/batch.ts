import type { RequestContext } from '../domain/caller.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import type { RegisteredServer } from '../domain/server.ts';
import { StoreAway } from '../ports/store.ts';
import { createAuthority, ownServer, stateAllows } from './authority.ts';
import type { Parts } from './parts.ts';
import { createRecords, recordedNowhere } from './records.ts';
import type { BatchRequest, Roads } from './roads.ts';
import { stateUnavailable } from './store-away.ts';

/** So many items of a batch are under way at once: enough to fill a vault's budget, few enough to bound memory. */
const atOnce = 48;

/**
 * A batch is its items, each on the road that a single call takes: admitted, gated and recorded on its own. What is decided once is whether
 * the caller may use this server at all; where not, each item leaves the record that a single call would. Items whose turn does not come
 * before the deadline are cancelled, and say so.
 */
export function createBatch(parts: Pick<Parts, 'registry' | 'clock' | 'operations'>): Pick<Roads, 'batch'> {
  const { clock } = parts;
  const { seeServer } = createAuthority(parts);
  const keepRecord = createRecords(parts);

  async function seeOwn(server: string, { caller }: RequestContext): Promise<Outcome<RegisteredServer>> {
    try {
      return await seeServer(server, (registered) => ownServer(caller, registered) ?? stateAllows(registered, 'operate', clock.now()));
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return stateUnavailable(error);
    }
  }

  return {
    async batch<T>(request: BatchRequest<T>, context: RequestContext): Promise<Outcome<readonly Outcome<T>[]>> {
      const { operation, server, size, database: databaseOf, item } = request;
      const contextOf = (index: number): RequestContext => ({ ...context, requestId: `${context.requestId}/${index}` });
      const seen = await seeOwn(server, context);
      if (!seen.ok) {
        const ending = { link: null, outcome: seen.refusal.code, attempts: [] };
        let kept = true;
        for (let index = 0; index < size; index += 1) {
          const database = databaseOf(index);
          if (database !== undefined) kept = keepRecord(operation, { server, database }, contextOf(index))(ending) !== null && kept;
        }
        return kept ? seen : recordedNowhere();
      }
      const results = new Array<Outcome<T>>(size);
      const indices = results.keys();
      const worker = async (): Promise<void> => {
        for (const index of indices) {
          const late = clock.elapsed() >= context.deadline;
          results[index] = late ? cancelled() : await item(index, contextOf(index));
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
