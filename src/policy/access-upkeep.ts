import { untriedLink } from '../domain/access.ts';
import type { AccessPicture, Change, LinkAccess, LinkChange } from '../domain/access.ts';
import { days, latest, span } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import { inFuture } from './denial.ts';

/* What is put right in the rows of access without any call: of links that are gone, and by clocks that have been set back since. */

/**
 * The link is no longer linked. What was denied there, or may have been, goes on reaching the links of others (F1, F4), so the row stays
 * with that and nothing else, until it is `outlived`; without any it goes.
 */
export function unlinked(stored: LinkAccess | undefined, outlived: (at: Instant) => boolean = () => false): LinkChange {
  if (stored === undefined) return null;
  const { ref, latch, provenAt, refused, revision } = stored;
  const denials = Object.fromEntries(Object.entries(stored.denials).filter(([, at]) => !outlived(at)));
  const doubtedAt = stored.doubtedAt === null || outlived(stored.doubtedAt) ? null : stored.doubtedAt;
  const left = Object.keys(denials).length;
  if (left === 0 && doubtedAt === null) return { next: null, events: [] };
  const isBare = latch === null && provenAt === null && Object.keys(refused).length === 0;
  if (isBare && left === Object.keys(stored.denials).length && doubtedAt === stored.doubtedAt) return null;
  return { next: { ...untriedLink(ref), denials, doubtedAt, revision: revision + 1 }, events: [] };
}

/**
 * Which denials and doubts in the vault say nothing any more: those of more than a day ago that void no proof, all proofs being newer. A
 * latched link's proof counts for nothing before the unwrap that releases it, and that makes it new.
 */
export function outlivedIn({ links }: AccessPicture, now: Instant, skew: Millis): (at: Instant) => boolean {
  const proofs = links.flatMap(({ latch, provenAt }) => (latch === null && provenAt !== null ? [provenAt] : []));
  return (at) => span(at, now) > days(1) && proofs.every((proof) => span(at, proof) > skew);
}

/**
 * What was stamped by a clock that has been set back since counts as met now, when it is noticed: it would hold failover back for the whole
 * error of that clock (F5). `proofs`: of the vault; none that it voided may look newer than it, whichever of the clocks is wrong.
 * Null where nothing is to be put right.
 */
export function restamped(stored: LinkAccess | undefined, now: Instant, proofs: readonly Instant[]): Change<LinkAccess> {
  if (stored === undefined) return null;
  const { denials, doubtedAt, refused } = stored;
  const right = (at: Instant): Instant => (inFuture(at, now) ? (latest(now, ...proofs.filter((proof) => proof <= at)) ?? now) : at);
  const next: LinkAccess = {
    ...stored,
    denials: Object.fromEntries(Object.entries(denials).map(([reach, at]) => [reach, right(at)])),
    doubtedAt: doubtedAt === null ? null : right(doubtedAt),
    refused: Object.fromEntries(Object.entries(refused).map(([operation, one]) => [operation, { ...one, since: right(one.since) }])),
    revision: stored.revision + 1,
  };
  const times = (access: LinkAccess): readonly unknown[] => [
    ...Object.values(access.denials),
    access.doubtedAt,
    ...Object.values(access.refused).map(({ since }) => since),
  ];
  const before = times(stored);
  return times(next).every((at, i) => at === before[i]) ? null : { next, events: [] };
}
