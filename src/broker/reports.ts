import { done, refuse } from '../domain/refusal.ts';
import { StoreAway } from '../ports/store.ts';
import type { Parts } from './parts.ts';
import type { Roads } from './roads.ts';

const noCursor = refuse('InvalidRequest', 'after: is not the `next` of this list');

/** What auditors read, and what the platform asks. */
export function createReports({
  events,
  operations,
  registry,
}: Pick<Parts, 'events' | 'operations' | 'registry'>): Pick<Roads, 'listEvents' | 'listOperations' | 'readiness'> {
  return {
    async listEvents(request) {
      if (request.after !== null && !events.isCursor(request.after)) return noCursor;
      return done(await events.page(request));
    },

    async listOperations(request) {
      if (request.after !== null && !operations.isCursor(request.after)) return noCursor;
      // What this instance answered a moment ago is there to be read.
      await operations.flush();
      return done(await operations.page(request));
    },

    async readiness() {
      try {
        const vaults = await registry.readVaults();
        return { missing: [], warnings: vaults.length === 0 ? ['no vault is registered'] : [] };
      } catch (error) {
        if (!(error instanceof StoreAway)) throw error;
        return { missing: ['the store does not answer'], warnings: [] };
      }
    },
  };
}
