import type { Parts } from './parts.ts';
import { ownReport } from './views.ts';

/** Says of this instance what others show: its circuits, latencies and records. Rejects with `StoreAway`. */
export function createReport(parts: Parts): () => Promise<void> {
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
