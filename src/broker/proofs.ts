import { accessKey, linkKey } from '../domain/access.ts';
import type { LinkRef } from '../domain/access.ts';
import type { Instant } from '../domain/time.ts';
import { newerProof } from '../policy/denial.ts';

/** The newest successes that this instance saw: a healthy operation writes here, not to the store. */
export interface Proofs {
  note(ref: LinkRef, sentAt: Instant): void;
  newest(ref: LinkRef): Instant | null;
  forget(ref: LinkRef): void;
}

/** Bounded by what one vault fleet can hold many times over; the oldest are forgotten first and cost one canary each. */
const mostProofs = 50_000;

/** With fewer none is about to be forgotten, and their order need not be kept. */
const fewProofs = mostProofs / 2;

/** Of unwraps at each key by each identity, which all links share that have both (F3). */
export function createProofs(): Proofs {
  return newestBy(accessKey);
}

/** Of wraps at each link by its identity: a refusal of wrap ends where it was met (F4). */
export function createWraps(): Proofs {
  return newestBy((ref) => `${linkKey(ref)}|${ref.identity ?? ''}`);
}

function newestBy(keyOf: (ref: LinkRef) => string): Proofs {
  const newest = new Map<string, Instant>();
  return {
    note(ref, sentAt) {
      const key = keyOf(ref);
      const proof = newerProof(newest.get(key), sentAt);
      // Anew at the end: the first in the map is the one that was used least lately.
      if (newest.size > fewProofs) newest.delete(key);
      newest.set(key, proof);
      if (newest.size <= mostProofs) return;
      for (const oldest of newest.keys()) {
        newest.delete(oldest);
        break;
      }
    },
    newest: (ref) => newest.get(keyOf(ref)) ?? null,
    forget: (ref) => void newest.delete(keyOf(ref)),
  };
}
