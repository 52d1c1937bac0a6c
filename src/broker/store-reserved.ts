import type { BrokerEvent } from '../domain/event.ts';
import { done } from '../domain/refusal.ts';
import type { Outcome } from '../domain/refusal.ts';
import type { RegisteredServer } from '../domain/server.ts';
import type { Registry } from '../ports/registry.ts';
import type { Reservations } from './reservations.ts';

/**
 * Stores a change of a server inside the association budget (B1): reserves, stores, settles.
 * @returns what is stored; the refusal where a vault has no room; undefined if the server was changed since `before` was read.
 */
export type StoreReserved = (
  before: RegisteredServer,
  after: RegisteredServer,
  events: readonly BrokerEvent[],
) => Promise<Outcome<RegisteredServer> | undefined>;

export function createStoreReserved(registry: Registry, reservations: Reservations): StoreReserved {
  return async (before, after, events) => {
    const reservation = await reservations.reserve(before, after);
    if (reservation.refusal !== undefined) return { ok: false, refusal: reservation.refusal };
    const stored = await registry.changeServer(before.server.name, (known) =>
      known?.revision === before.revision ? { next: after, events } : null,
    );
    if (stored?.revision !== before.revision + 1) {
      await reservation.abandon();
      return undefined;
    }
    await reservation.settle(stored);
    return done(stored);
  };
}
