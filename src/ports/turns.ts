import { mayPass } from './store.ts';

/** Runs the works of one place one after another: an instance does not compete with itself. */
export type Turns = <T>(place: string, work: () => Promise<T>) => Promise<T>;

/**
 * Turns among the works of this instance. Those who wait behind a store that is away share its failure: each waiting for a time limit of
 * its own would take the sum of all. A failure that concerns one row is its work's own.
 */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return async (place, work) => {
    const afterFailure = (error: unknown): ReturnType<typeof work> => {
      if (mayPass(error)) throw error;
      return work();
    };
    const turn = last.get(place)?.then(work, afterFailure) ?? work();
    last.set(place, turn);
    try {
      return await turn;
    } finally {
      if (last.get(place) === turn) last.delete(place);
    }
  };
}
