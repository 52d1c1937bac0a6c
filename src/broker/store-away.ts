import { refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import type { Roads } from './roads.ts';

type Road = (...asked: never[]) => Promise<Outcome<unknown>>;

/**
 * The same roads, answering `StateUnavailable` where the store was away: the one place where that failure turns into an answer. Roads that
 * meet it on their way and go on (operate) have caught it themselves.
 */
export function answeringStoreAway(roads: Roads): Roads {
  const { auditPermissions, readiness, watch, ...answering } = roads;
  const wrapped = Object.fromEntries(Object.entries<Road>(answering).map(([name, road]) => [name, guarded(road)]));
  return { ...roads, ...wrapped, auditPermissions, readiness, watch };
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
