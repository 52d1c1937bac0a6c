import type { DeadLetter, DeliveryState } from '../../src/domain/delivery.ts';
import type { Deliveries } from '../../src/ports/deliveries.ts';
import type { MemoryStore } from './memory-store.ts';

/** Deliveries in memory. */
export function createMemoryDeliveries(store: MemoryStore): Deliveries {
  const read = async (webhook: string) => (await store.read<DeliveryState | undefined>(`delivery/${webhook}`, undefined)).value;
  const deadPrefix = (webhook: string): string => `dead/${webhook}/`;
  return {
    read,
    async change(webhook, decide) {
      const decided: { state?: DeliveryState } = {};
      await store.change<DeliveryState | undefined>(`delivery/${webhook}`, undefined, (stored) => {
        const next = decide(stored);
        if (next === null) delete decided.state;
        else decided.state = next;
        return next === null ? undefined : { next };
      });
      return decided.state;
    },
    async bury(webhook, letters) {
      for (const letter of letters) {
        const key = `${deadPrefix(webhook)}${String(letter.event.time).padStart(15, '0')}/${letter.event.id}`;
        await store.change<DeadLetter | undefined>(key, undefined, () => ({ next: letter }));
      }
    },
    async deadLetters(webhook, limit) {
      const letters = await store.list<DeadLetter>(deadPrefix(webhook));
      return letters.toSorted((a, b) => a.diedAt - b.diedAt).slice(-limit);
    },
  };
}
