import { sameAccess, sameLink, untriedLink } from '../domain/access.ts';
import type { AccessPicture, Change, Latch, LinkAccess, LinkRef, RefusedOperation } from '../domain/access.ts';
import type { BrokerEvent } from '../domain/event.ts';
import type { DenialClass, Reach } from '../domain/fault.ts';
import type { Finding } from '../domain/finding.ts';
import { latest, minutes, span, toRfc3339 } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';

/*
 * F4–F6: what is remembered of access at one link. Each function is one transition of one stored row; it is applied under
 * compare-and-set, so it sees what is stored and may run twice.
 *
 *   no latch ──denial──▶ suspected ──canary denied ≥ 30 s after the first──▶ confirmed
 *      ▲                     │                                                  │
 *      └──── an unwrap at the same link, sent by one who knew the newest denial ┘
 *
 * Nothing else ends a latch: no wrap, no success elsewhere, no late answer, no passing of time.
 */

/** The numbers of F5 and F6. */
export interface DenialRules {
  /** A second denial confirms from this long after the first. */
  readonly witnessAfterMs: Millis;
  /** A denial longer than this after an unconfirmed one counts as a new first. */
  readonly forgetAfterMs: Millis;
}

/** A denial that was met at a link. */
export interface DenialSeen {
  readonly class: DenialClass;
  readonly reach: Reach;
  readonly code: string | null;
  readonly receivedAt: Instant;
  /** Unique for this denial: names the generation of the latch. */
  readonly id: string;
}

/** A denial of unwrap, on its way to the store. */
export interface UnwrapDenial extends DenialSeen {
  /** It was met by the canary that goes and looks, the only one that confirms (F6). */
  readonly witness: boolean;
  /** When it is written: long after `receivedAt`, where the store was away meanwhile. */
  readonly writtenAt: Instant;
}

/** Unwrap was denied: the latch is set, or knows one denial more. */
export function unwrapDenied(stored: LinkAccess | undefined, ref: LinkRef, seen: UnwrapDenial, rules: DenialRules): Change<LinkAccess> {
  const access = accessAs(stored, ref);
  // The same denial again, by a repeated write: it is stored already.
  if (access.latch?.generation.startsWith(`${seen.id}~`)) return null;
  const latch = nextLatch(access, seen, rules);
  const events =
    latch.status === access.latch?.status && latch.firstDenialAt === access.latch.firstDenialAt
      ? []
      : [latchEvent(ref, latch, seen.receivedAt)];
  return { next: { ...access, latch, denials: withDenial(access, seen) }, events };
}

function nextLatch({ latch, revision }: LinkAccess, seen: UnwrapDenial, rules: DenialRules): Latch {
  const older = latch !== null && span(latch.newestDenialAt, seen.receivedAt) <= 0 && !inFuture(latch.newestDenialAt, seen.writtenAt);
  const newest = {
    // A denial that is stored late is counted, but says nothing newer.
    ...(older
      ? { class: latch.class, code: latch.code, newestDenialAt: latch.newestDenialAt }
      : { class: seen.class, code: seen.code, newestDenialAt: seen.receivedAt }),
    // With the revision, since a write that is repeated later must not bring back a generation that somebody knew before.
    generation: `${seen.id}~${revision}`,
  };
  if (latch === null || isForgotten(latch, seen, rules))
    return { ...newest, status: 'suspected', firstDenialAt: seen.receivedAt, witnesses: 1 };
  const lateEnough = span(latch.firstDenialAt, seen.receivedAt) >= rules.witnessAfterMs;
  return {
    ...newest,
    status: latch.status === 'confirmed' || (seen.witness && lateEnough) ? 'confirmed' : 'suspected',
    firstDenialAt: latch.firstDenialAt,
    witnesses: latch.witnesses + 1,
  };
}

/** F6: whether a denial counts as a new first: the one before is long ago, or was stamped by a clock that has been set back since. */
function isForgotten(latch: Latch, { receivedAt, writtenAt }: UnwrapDenial, rules: DenialRules): boolean {
  if (latch.status === 'confirmed') return false;
  return span(latch.newestDenialAt, receivedAt) > rules.forgetAfterMs || inFuture(latch.firstDenialAt, writtenAt);
}

/** True of a time that only a clock which has been set back since can have stamped: no two clocks that run are a minute apart. */
export function inFuture(at: Instant, now: Instant): boolean {
  return span(now, at) > minutes(1);
}

/** A denial of wrap or get: it forbids failover as any denial, but only the canary says whether it is a latch. */
export function otherDenied(stored: LinkAccess | undefined, ref: LinkRef, seen: DenialSeen): Change<LinkAccess> {
  const access = accessAs(stored, ref);
  return { next: { ...access, denials: withDenial(access, seen) }, events: [] };
}

/**
 * An operation other than unwrap is refused while unwrap works (F4), or a wrap is refused because the key expired (C2).
 * @param found what an event is to tell of it, where it was met by traffic (P2); absent: nobody is told here.
 */
export function operationRefused(
  stored: LinkAccess | undefined,
  ref: LinkRef,
  { operation, found, ...refusal }: OperationRefusal,
): Change<LinkAccess> {
  const access = accessAs(stored, ref);
  const known = access.refused[operation];
  if (known !== undefined && known.since >= refusal.since) return null;
  const sameFinding = known?.finding === refusal.finding;
  const told = known?.told === true && sameFinding;
  const next = found !== undefined || told ? { ...refusal, told: true } : refusal;
  return {
    next: { ...access, refused: { ...access.refused, [operation]: next } },
    events: [
      ...(known === undefined || sameFinding ? [] : endOf(ref, operation, known, refusal.since)),
      ...(found === undefined || told ? [] : [findingEvent(ref, operation, { at: refusal.since, about: { ...found, change: 'new' } })]),
    ],
  };
}

/** A refusal, of which operation, and what to tell of it. */
export interface OperationRefusal extends Pick<RefusedOperation, 'since' | 'finding'> {
  readonly operation: 'wrapKey' | 'get';
  readonly found?: Finding | undefined;
}

/** An operation other than unwrap that was sent after its refusal succeeded at the link: it may fail over again. */
export function operationAllowed(stored: LinkAccess | undefined, operation: 'wrapKey' | 'get', sentAt: Instant): Change<LinkAccess> {
  const known = stored?.refused[operation];
  if (stored === undefined || known === undefined || sentAt <= known.since) return null;
  const { [operation]: _ended, ...refused } = stored.refused;
  return { next: { ...stored, refused, revision: stored.revision + 1 }, events: endOf(stored.ref, operation, known, sentAt) };
}

/** The event of a finding's end, where one told of the finding. */
function endOf(ref: LinkRef, operation: 'wrapKey' | 'get', known: RefusedOperation, at: Instant): readonly BrokerEvent[] {
  const about = { code: known.finding, server: ref.server, change: 'resolved' };
  return known.told === true ? [findingEvent(ref, operation, { at, about })] : [];
}

/**
 * An unwrap at the link succeeded.
 * @param known generation of the latch that the instance knew when it sent the call; null if it knew of none. Only the latch that was
 *   known is released: a success sent before the newest denial, or by one who had not heard of it, releases nothing (F5).
 */
export function unwrapSucceeded(
  stored: LinkAccess | undefined,
  ref: LinkRef,
  success: { readonly sentAt: Instant; readonly known: string | null },
): Change<LinkAccess> {
  const access = accessAs(stored, ref);
  const { latch } = access;
  if (latch !== null && latch.generation !== success.known) return null;
  const provenAt = newerProof(access.provenAt, success.sentAt);
  if (latch === null && provenAt === access.provenAt) return null;
  const events =
    latch === null
      ? []
      : [
          linkEvent(
            ref,
            { id: `released-${latch.generation}`, type: 'keybroker.latch.released', time: success.sentAt },
            { class: latch.class },
          ),
        ];
  return { next: { ...access, latch: null, provenAt }, events };
}

/**
 * The newer of a known proof and one just given. No call takes a minute: a known proof further ahead than that was stamped by a clock that
 * has been set back since, and the new one counts.
 */
export function newerProof(known: Instant | null | undefined, sentAt: Instant): Instant {
  return known !== null && known !== undefined && known >= sentAt && !inFuture(known, sentAt) ? known : sentAt;
}

/** An answer that may hide a denial: the proof is void until the next success (F1). */
export function accessDoubted(stored: LinkAccess | undefined, ref: LinkRef, receivedAt: Instant): Change<LinkAccess> {
  const access = accessAs(stored, ref);
  return { next: { ...access, doubtedAt: latest(access.doubtedAt, receivedAt) }, events: [] };
}

/** The newest denial in the vault that reaches the link (F4); null if none does. */
export function newestDenialReaching(picture: AccessPicture, ref: LinkRef): Instant | null {
  let newest: Instant | null = null;
  for (const access of picture.links) {
    const { denials } = access;
    // A denial that was met under another identity still counts at its own link.
    const own = sameLink(access.ref, ref) ? denials.identity : undefined;
    const key = access.ref.keyId === ref.keyId ? denials.key : undefined;
    const identity = access.ref.identity === ref.identity ? denials.identity : undefined;
    newest = latest(newest, denials.vault, key, identity, own);
  }
  return newest;
}

/**
 * The newest proof at the link's key by the link's identity (F3): links that share both share their proofs.
 * @param until proofs from later are passed over: they were stamped by a clock that jumped, and cannot be placed before or after a denial.
 */
export function newestProof(picture: AccessPicture, ref: LinkRef, until?: Instant): Instant | null {
  const proofs = picture.links.filter((access) => sameAccess(access.ref, ref)).map((access) => access.provenAt);
  return latest(...proofs.filter((proof) => until === undefined || proof === null || proof <= until));
}

/** The newest answer that may hide a denial at the link's key (F1), by whatever identity: what it hides may reach the key. */
export function newestDoubt(picture: AccessPicture, ref: LinkRef): Instant | null {
  return latest(...picture.links.filter((access) => access.ref.keyId === ref.keyId).map((access) => access.doubtedAt));
}

/**
 * What is stored, seen as who calls now. Under another identity the old proofs prove nothing; a latch stays until an unwrap succeeds, and a
 * doubt at the key until a proof is newer. The denial of the identity before goes on reaching whoever else calls by it, so it is kept as one
 * of the whole vault, rather too wide.
 */
function accessAs(stored: LinkAccess | undefined, ref: LinkRef): LinkAccess {
  if (stored === undefined) return { ...untriedLink(ref), revision: 1 };
  const revision = stored.revision + 1;
  if (stored.ref.identity === ref.identity) return { ...stored, revision };
  const { identity, ...denials } = stored.denials;
  const vault = latest(denials.vault, identity);
  return { ...stored, ref, revision, provenAt: null, denials: vault === null ? denials : { ...denials, vault } };
}

function withDenial(access: LinkAccess, seen: DenialSeen): LinkAccess['denials'] {
  return { ...access.denials, [seen.reach]: latest(access.denials[seen.reach], seen.receivedAt) ?? seen.receivedAt };
}

function latchEvent(ref: LinkRef, latch: Latch, at: Instant): BrokerEvent {
  const { status, firstDenialAt, witnesses, code } = latch;
  const about = { class: latch.class, code, witnesses, since: toRfc3339(firstDenialAt) };
  return linkEvent(ref, { id: `${status}-${latch.generation}`, type: `keybroker.latch.${status}`, time: at }, about);
}

/** As an audit tells of a finding, but for the slot. */
function findingEvent(
  ref: LinkRef,
  operation: 'wrapKey' | 'get',
  { at, about }: { readonly at: Instant; readonly about: Readonly<Record<string, unknown>> },
): BrokerEvent {
  const id = `${operation}-${String(about['change'])}-${ref.server}-${ref.vault}-${ref.keyId.slice(-32)}-${at}`;
  return linkEvent(ref, { id, type: 'keybroker.audit.finding', time: at }, about);
}

function linkEvent(ref: LinkRef, head: Pick<BrokerEvent, 'id' | 'type' | 'time'>, about: Record<string, unknown>): BrokerEvent {
  return { ...head, subject: ref.server, data: { keyId: ref.keyId, vault: ref.vault, ...about } };
}
