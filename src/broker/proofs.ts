import { accessKey } from '../domain/access.ts';
import type { LinkRef } from '../domain/access.ts';
import type { Instant } from '../domain/time.ts';
import { newerProof } from '../policy/denial.ts';

/** The newest unwrap that succeeded at each key by each identity, as this instance saw it: a healthy unwrap writes here, not to the store. */
export interface Proofs {
  note(ref: LinkRef, sentAt: Instant): void;
  newest(ref: LinkRef): Instant | null;
}

/** Bounded by what one vault fleet can hold many times over; the oldest are forgotten first and cost one canary each. */
const mostProofs = 50_000;

export function createProofs(): Proofs {
  const newest = new Map<string, Instant>();
  return {
    note(ref, sentAt) {
      const key = accessKey(ref);
      const proof = newerProof(newest.get(key), sentAt);
      // Anew at the end: the first in the map is the one that was used least lately.
      newest.delete(key);
      newest.set(key, proof);
      if (newest.size <= mostProofs) return;
      for (const oldest of newest.keys()) {
        newest.delete(oldest);
        break;
      }
    },
    newest: (ref) => newest.get(accessKey(ref)) ?? null,
  };
}
