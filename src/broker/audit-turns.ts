import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { AuditPage } from '../ports/audit-store.ts';
import { createTurns } from '../ports/turns.ts';
import type { Parts } from './parts.ts';

/* How the steps of an audit are spread over the time that it takes, so that traffic beside it does not meet many at once. */

/** How often a claim is renewed. */
export const renewMs = millis(10_000);

const place = 'audit';

/**
 * At the store an audit goes as it goes at the vaults: one step after another. Its pages begin and end together, since vaults are paced alike,
 * and fifty that read or write at one moment are felt by all that traffic has at the store just then, leases before all.
 */
export function oneAtATime<P extends Pick<Parts, 'audits' | 'registry'>>(parts: P): P {
  const inTurn = createTurns();
  const { audits, registry } = parts;
  return {
    ...parts,
    audits: {
      ...audits,
      changePage: (slot, number, decide) => inTurn(place, () => audits.changePage(slot, number, decide)),
      findingsOf: (slot, of, names) => inTurn(place, () => audits.findingsOf(slot, of, names)),
    },
    registry: { ...registry, readTogether: (names) => inTurn(place, () => registry.readTogether(names)) },
  };
}

/**
 * The same pages in an order of which every part is spread evenly over the list (by the fractional parts of multiples of the golden ratio):
 * those that are next to one another by name mostly lie in the same vaults, and each vault should be worked on from first to last.
 */
export function scattered(pages: readonly AuditPage[]): readonly AuditPage[] {
  return pages.toSorted((a, b) => placeOf(a) - placeOf(b));
}

function placeOf({ number }: AuditPage): number {
  return (number * 0.618033988749895) % 1;
}

/** When a claim is renewed first: pages that begin together are not stored together, and none more often for that. */
export function firstRenewal(page: AuditPage): Millis {
  return millis(renewMs * (0.5 + placeOf(page)));
}
