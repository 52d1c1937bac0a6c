import { seconds } from '../domain/time.ts';
import { StoreAway } from '../ports/store.ts';
import type { Outages } from './outages.ts';
import type { Parts } from './parts.ts';
import { ownReport } from './views.ts';

/** Says of this instance what others show: its circuits, latencies and records. Rejects with `StoreAway`. */
function createReport(parts: Parts): () => Promise<void> {
  const { clock, instances, operations, registry, rules } = parts;
  const startedAt = clock.now();

  return async () => {
    const vaults = Object.fromEntries(registry.peekVaults().map(({ name }) => [name, ownReport(parts, name)]));
    const { issued, waiting, spilled } = operations.backlog();
    await instances.report({ instance: operations.instance, startedAt, at: clock.now(), vaults, records: { issued, waiting, spilled } });
    for (const other of await instances.read()) {
      // An hour, not the 45 s after which an instance counts as gone: its record numbers are evidence for a while.
      if (clock.now() - other.at > 80 * rules.instanceGoneMs) await instances.forget(other.instance);
    }
  };
}

/** How often each instance says it. */
const every = seconds(15);

/**
 * Each instance reports by itself: the watch runs on one of them, and a report that is late makes a live instance look gone. What the store
 * does not take is told again the next time. @returns what ends it.
 */
export function startReporting(parts: Parts, { tellCircuits }: Pick<Outages, 'tellCircuits'>): () => void {
  const report = createReport(parts);
  const closing = new AbortController();

  async function keepReporting(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await report();
        await tellCircuits();
      } catch (error) {
        if (!(error instanceof StoreAway)) throw error;
      }
      await parts.clock.pause(every, closing.signal);
    }
  }

  void keepReporting();
  return () => closing.abort();
}
