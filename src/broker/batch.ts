import type { RequestContext } from '../domain/caller.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome, Refusal } from '../domain/refusal.ts';
import type { RegisteredServer } from '../domain/server.ts';
import { StoreAway } from '../ports/store.ts';
import { createAuthority, ownServer, stateAllows } from './authority.ts';
import type { Parts } from './parts.ts';
import { createRecords, recordedNowhere, type KeepRecord } from './records.ts';
import type { BatchRequest, Roads } from './roads.ts';
import { stateUnavailable } from './store-away.ts';

/**
 * So many items of a batch are under way at once: at first as many as keep the broker busy where a vault answers quickly, since with more
 * each item costs more of the processor. Where one takes long, and the next in its place too, there is room for one more, up to so many
 * that a vault's budget is filled and memory is bounded. One alone may have waited for the processor.
 */
const firstAtOnce = 12;
const mostAtOnce = 48;
const longMs = 10;

/**
 * A batch is its items, each on the road that a single call takes: admitted, gated and recorded on its own. What is decided once is whether
 * the caller may use this server at all. Where a host may not use its own server now, each item leaves the record that a single call would
 * (P3), and so do items whose turn does not come before the deadline: they are cancelled, and say so. Whoever names a server that is not his
 * own leaves one record, which tells of how many items there were: nobody else's records are pushed out by a thousand a request. So it is also
 * where the state cannot be read, `StateUnavailable`: nobody knows then whose server it is.
 */
export function createBatch(parts: Pick<Parts, 'registry' | 'clock' | 'operations'>): Pick<Roads, 'batch' | 'refuseBatch'> {
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

  /** Of what ended before any vault was called. */
  function refused(record: ReturnType<KeepRecord>, refusal: Refusal): Outcome<never> {
    const place = record({ link: null, outcome: refusal.code, attempts: [] });
    return place === null ? recordedNowhere() : { ok: false, refusal };
  }

  return {
    async batch<T>(request: BatchRequest<T>, context: RequestContext): Promise<Outcome<readonly Outcome<T>[]>> {
      const { operation, server, size, database: databaseOf, item } = request;
      const contextOf = (index: number): RequestContext => ({ ...context, requestId: `${context.requestId}/${index}` });
      const refuseItem = (index: number, refusal: Refusal): Outcome<never> => {
        const database = databaseOf(index);
        if (database === undefined) return { ok: false, refusal };
        return refused(keepRecord(operation, { server, database }, contextOf(index)), refusal);
      };

      const whole = keepRecord(operation, { server, database: null, items: size }, context);
      const results = new Array<Outcome<T>>(size);
      const indices = results.keys();
      const seen = await seeOwn(server, context);
      if (!seen.ok && seen.refusal.code !== 'ServerInaccessible') return refused(whole, seen.refusal);
      if (!seen.ok) {
        const each = [...indices].map((index) => refuseItem(index, seen.refusal));
        return each.find((one) => !one.ok && one.refusal !== seen.refusal) ?? seen;
      }
      const workers: Promise<void>[] = [];
      const worker = async (): Promise<void> => {
        let long = 0;
        let began = clock.elapsed();
        for (const index of indices) {
          results[index] = began >= context.deadline ? refuseItem(index, cancelled) : await item(index, contextOf(index));
          const ended = clock.elapsed();
          long = ended - began > longMs ? long + 1 : 0;
          began = ended;
          if (long > 1 && workers.length < mostAtOnce) begin();
        }
      };
      const begin = (): void => {
        const begun = worker();
        // Whoever waits for it may do so later than it fails.
        begun.catch(() => undefined);
        workers.push(begun);
      };
      while (workers.length < Math.min(firstAtOnce, size)) begin();
      // Those that are begun meanwhile are waited for, too.
      for (let ended = 0; ended < workers.length;) {
        ended = workers.length;
        await Promise.all(workers);
      }
      return done(results);
    },

    refuseBatch: (server, refusal, context) => Promise.resolve(refused(keepRecord('batch', { server, database: null }, context), refusal)),
  };
}

const cancelled = refuse('DeadlineExceeded', 'cancelled: the time for the batch was over before it was the turn of this item', {
  retryable: true,
}).refusal;
