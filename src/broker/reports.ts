import { done, refuse } from '../domain/refusal.ts';
import { StoreAway } from '../ports/store.ts';
import type { Parts } from './parts.ts';
import type { Roads } from './roads.ts';

const noCursor = refuse('InvalidRequest', 'after: is not the `next` of this list');

/** What auditors read, and what the platform asks. */
export function createReports({
  events,
  operations,
  ownIdentity,
  registry,
}: Pick<Parts, 'events' | 'operations' | 'ownIdentity' | 'registry'>): Pick<Roads, 'listEvents' | 'listOperations' | 'readiness'> {
  /** Whether a vault is registered; null: the store does not answer. */
  async function vaultsThere(): Promise<boolean | null> {
    try {
      return (await registry.readVaults()).length > 0;
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return null;
    }
  }

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
      const [vaults, identity] = await Promise.all([vaultsThere(), ownIdentity.missing()]);
      return {
        missing: [
          ...(vaults === null ? ['the store does not answer'] : []),
          ...(identity === null ? [] : [`the broker's own identity has no token for vaults: ${identity}`]),
        ],
        warnings: vaults === false ? ['no vault is registered'] : [],
      };
    },
  };
}
