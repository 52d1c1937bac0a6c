import { StoreAway } from '../ports/store.ts';

/**
 * Runs the works on one server one after another: of many that change it at once each is stored at its first try, unless another instance
 * changes the server too. Those who wait behind a `StoreAway` share it, since waiting for a time limit each would take the sum of all.
 */
export type ServerTurns = <T>(server: string, work: () => Promise<T>) => Promise<T>;

export function createServerTurns(): ServerTurns {
  const last = new Map<string, Promise<unknown>>();
  return async (server, work) => {
    const afterFailure = (error: unknown): ReturnType<typeof work> => {
      if (error instanceof StoreAway) throw error;
      return work();
    };
    const turn = last.get(server)?.then(work, afterFailure) ?? work();
    last.set(server, turn);
    try {
      return await turn;
    } finally {
      if (last.get(server) === turn) last.delete(server);
    }
  };
}
