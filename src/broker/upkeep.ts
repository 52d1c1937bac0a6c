import { minutes, span, toRfc3339 } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import type { Undelivered } from './fleet-views.ts';
import type { Parts } from './parts.ts';
import type { Reservations } from './reservations.ts';

/** How often each instance looks. */
const every = minutes(5);

/** An event that waits longer is said aloud; an alert of `infra/` reads the line. */
const longWait = minutes(15);

export interface UpkeepParts {
  readonly parts: Pick<Parts, 'clock' | 'log' | 'registry'>;
  readonly reservations: Reservations;
  readonly undelivered: () => Promise<Undelivered>;
}

/**
 * What is put right, or said, now and then and behind everything else: reservations that killed instances left, and events that a webhook
 * has not taken. Rejects with `StoreAway`.
 */
export function createUpkeep({ parts, reservations, undelivered }: UpkeepParts): () => Promise<void> {
  const { clock, log, registry } = parts;
  let last: Millis = clock.elapsed();

  async function tellWaiting(): Promise<void> {
    for (const { name, count, oldestAt } of (await undelivered()).webhooks) {
      if (oldestAt === null || span(oldestAt, clock.now()) < longWait) continue;
      log('warn', 'events wait for delivery', { webhook: name, waiting: count, oldestAt: toRfc3339(oldestAt) });
    }
  }

  /** What cannot be read keeps the watch from nothing that comes after. */
  async function tellIfReadable(): Promise<void> {
    try {
      await tellWaiting();
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      log('error', 'what waits for delivery cannot be told', { reason: error.message });
    }
  }

  /** What one vault's books hold up, no other's wait for, nor those who wait for events. */
  async function reconcile(vault: string): Promise<void> {
    try {
      await reservations.reconcile(vault);
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      log('warn', 'the reservations of a vault could not be put right', { vault, reason: error.message });
    }
  }

  return async () => {
    if (clock.elapsed() - last < every) return;
    last = clock.elapsed();
    for (const { name } of registry.peekVaults()) await reconcile(name);
    await tellIfReadable();
  };
}
