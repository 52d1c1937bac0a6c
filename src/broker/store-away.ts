import { refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import type { Roads } from './roads.ts';

type Road = (...asked: never[]) => Promise<Outcome<unknown>>;

/**
 * The same roads, answering `StateUnavailable` where the store was away: the one place where that failure turns into an answer. But key
 * operations have caught it themselves, since they leave a record of it (operate).
 */
export function answeringStoreAway(roads: Roads): Roads {
  const { auditPermissions, readiness, watch, wrap, unwrap, rewrap, ...answering } = roads;
  const wrapped = Object.fromEntries(Object.entries<Road>(answering).map(([name, road]) => [name, guarded(road)]));
  return { ...roads, ...wrapped, auditPermissions, readiness, watch, wrap, unwrap, rewrap };
}

function guarded(road: Road): Road {
  return async (...asked) => {
    try {
      return await road(...asked);
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return stateUnavailable(error);
    }
  };
}

/** What a caller hears where the state could not be had: what cannot be read is named, since somebody must mend it. */
export function stateUnavailable(error: StoreAway): ReturnType<typeof refuse> {
  return refuse('StateUnavailable', error instanceof Unreadable ? error.message : 'the store of the broker is away', { retryable: true });
}
