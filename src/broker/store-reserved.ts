import type { BrokerEvent } from '../domain/event.ts';
import { done, refuse } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import type { RegisteredServer } from '../domain/server.ts';
import type { Registry } from '../ports/registry.ts';
import { createTurns } from '../ports/turns.ts';
import type { Turns } from '../ports/turns.ts';
import type { Reservation, Reservations } from './reservations.ts';

/** So often a change is begun anew when somebody else changed the server meanwhile. */
export const mostTries = 20;

/** What is said when all tries came too late. */
export function beingChanged(server: string): ReturnType<typeof refuse> {
  return refuse('StateUnavailable', `server ${server} is being changed by others all the time`, { retryable: true });
}

/** Stores changes of a server inside the association budget (B1): reserves, stores, concludes. */
export interface StoreReserved {
  /** @returns what is stored; the refusal where a vault has no room; undefined if the server was changed since `before` was read. */
  change(before: RegisteredServer, after: RegisteredServer, events: readonly BrokerEvent[]): Promise<Outcome<RegisteredServer> | undefined>;

  /**
   * A work that reads a server, and changes it by what it read: at its turn among those of this instance, by the server's name. So of many at
   * once each is stored at its first try, unless another instance changes the server too.
   */
  readonly inTurn: Turns;

  /** @returns false if the server was changed since `before` was read: then it stays. */
  remove(before: RegisteredServer): Promise<boolean>;
}

export function createStoreReserved(registry: Registry, reservations: Reservations): StoreReserved {
  /** Whether `next` was stored: not if anybody stored something else since `before` was read, under this registration or another. */
  async function store(
    before: RegisteredServer,
    { next, events }: { readonly next: RegisteredServer | null; readonly events: readonly BrokerEvent[] },
    reservation: Reservation,
  ): Promise<{ readonly unchanged: boolean; readonly stored: RegisteredServer | undefined }> {
    let unchanged = false;
    const stored = await registry.changeServer(before.server.name, (known) => {
      unchanged = known?.incarnation === before.incarnation && known.revision === before.revision;
      return unchanged ? { next, events } : null;
    });
    await reservation.conclude(stored);
    return { unchanged, stored };
  }

  return {
    inTurn: createTurns(),

    async change(before, after, events) {
      const reservation = await reservations.reserve(before, after);
      if (reservation.refusal !== undefined) return { ok: false, refusal: reservation.refusal };
      const { unchanged, stored } = await store(before, { next: after, events }, reservation);
      return unchanged && stored !== undefined ? done(stored) : undefined;
    },

    async remove(before) {
      const reservation = await reservations.reserve(before, null);
      return (await store(before, { next: null, events: [] }, reservation)).unchanged;
    },
  };
}
