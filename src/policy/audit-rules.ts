import { sameLink } from '../domain/access.ts';
import type { AccessPicture, LinkRef } from '../domain/access.ts';
import type { Fault } from '../domain/fault.ts';
import type { Finding, Severity } from '../domain/finding.ts';
import type { KeyFacts } from '../domain/key.ts';
import { groupOf } from '../domain/server.ts';
import type { Link, RegisteredServer } from '../domain/server.ts';
import { instant, latest, plus, span, toRfc3339 } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import { newestDenialReaching, newestProof } from './denial.ts';
import { findingOfLook, notCalled } from './fault-findings.ts';
import type { ProofStep } from './fault-findings.ts';
import { voids } from './gate.ts';
import type { GateRules } from './gate.ts';
import { candidateFindings, factFindings, findingOf, placeFindings, standbyFindings, standbyMissing } from './key-rules.ts';
import type { Candidate, KeyContext } from './key-rules.ts';

/*
 * P1: what an audit says of a server, from what was seen at its links. Facts in, findings out. A finding that people must act on at once is
 * an error; one that will become an error, or weakens a safeguard, a warning.
 */

/** What came of one call: a value, a fault, or none, since the circuit is open or the call was left out on purpose. */
export type Seen<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'circuitOpen' }
  | { readonly kind: 'leftOut' };

/** What was seen at one link. `unwrap`: whether the canary came out as it went in. */
export interface LinkSeen {
  readonly link: Link;
  readonly candidate: Candidate;
  readonly get: Seen<KeyFacts>;
  readonly wrap: Seen<unknown>;
  readonly unwrap: Seen<boolean>;
  /** Newest proof at the link after all that; null if there is none. */
  readonly provenAt: Instant | null;
  /** Its primary denies access: no call may go to a standby then, not even to look (F3). */
  readonly primaryDenied: boolean;
}

export interface AuditContext extends KeyContext {
  /** F3: oldest proof of a primary, and of a standby, with which a failover is allowed. */
  readonly proofMaxAgeMs: Millis;
  readonly standbyProofMaxAgeMs: Millis;
}

/** Whether wraps go to the link: the protector, and its standbys (K6). */
export function wrapsGoTo(links: readonly Link[], link: Link): boolean {
  const protector = links.find((one) => one.role === 'protector');
  return link.role === 'protector' || (protector !== undefined && link.standbyOf === protector.keyId);
}

/**
 * Whether a primary denies access, as far as anyone knows: it is latched, or a denial that reaches it came after its newest proof. Then nothing
 * goes to its standbys (F3). The proof must stand as at the gate.
 * @param provenAt newest proof that this instance saw itself.
 */
export function deniesAccess(
  picture: AccessPicture,
  primary: LinkRef,
  provenAt: Instant | null,
  { now, clockSkewMs }: Pick<GateRules, 'clockSkewMs'> & { readonly now: Instant },
): boolean {
  const stored = picture.links.find(({ ref }) => sameLink(ref, primary));
  if (stored !== undefined && stored.latch !== null) return true;
  const denial = newestDenialReaching(picture, primary);
  const until = plus(now, clockSkewMs);
  const proof = latest(newestProof(picture, primary, until), provenAt !== null && provenAt <= until ? provenAt : null);
  return denial !== null && (proof === null || voids(denial, proof, clockSkewMs));
}

/** Everything that is wrong with a server, or will be. */
export function serverFindings(registered: RegisteredServer, seen: readonly LinkSeen[], context: AuditContext): readonly Finding[] {
  const links = seen.map(({ link }) => link);
  return onceALink([
    ...seen.flatMap((one) => linkFindings(one, links, context)),
    ...pairFindings(seen),
    ...seen
      .filter(({ link }) => link.role === 'protector')
      .flatMap(({ candidate, link }) => standbyMissing(candidate, groupOf(registered, link).standbys.length)),
  ]);
}

function linkFindings(seen: LinkSeen, links: readonly Link[], context: AuditContext): readonly Finding[] {
  const { candidate, link, get, wrap, unwrap } = seen;
  const use = wrapsGoTo(links, link) ? 'protector' : 'additional';
  const facts = get.kind === 'ok' ? get.value : undefined;
  const calls: readonly (readonly [ProofStep, Seen<unknown>])[] = [
    ['get', get],
    ['wrap', wrap],
    ['unwrap', unwrap],
  ];
  return [
    ...candidateFindings(candidate),
    ...(facts === undefined
      ? []
      : [...factFindings(candidate, facts, context, use), ...expiryFindings(candidate, facts, context.now, use)]),
    ...materialFindings(seen, facts),
    ...calls.flatMap(([step, call]) => callFindings(candidate, step, call, facts !== undefined && notYetActive(facts, context))),
    ...formerFindings(seen),
    ...proofFindings(seen, context),
    ...(link.role === 'protector' ? placeFindings(candidate, context) : []),
  ];
}

/** @param early the key says itself that it is not yet active: a refusal for that adds nothing, and does not say which end of its time it is. */
function callFindings(candidate: Candidate, step: ProofStep, call: Seen<unknown>, early: boolean): readonly Finding[] {
  if (call.kind === 'fault') return early && call.fault.outsideValidity ? [] : [findingOfLook(candidate, call.fault, step)];
  return call.kind === 'circuitOpen' ? [notCalled(candidate, 'circuitOpen')] : [];
}

function notYetActive({ notBefore }: KeyFacts, { now }: AuditContext): boolean {
  return notBefore !== null && notBefore > now;
}

/** Parity of material: a standby is given the canary that its primary wrapped, so that one unwrap proves access and material. */
function materialFindings({ candidate, link, unwrap }: LinkSeen, facts: KeyFacts | undefined): readonly Finding[] {
  const wrongUnwrap = unwrap.kind === 'ok' && !unwrap.value;
  const wrongThumbprint = facts?.thumbprint !== undefined && facts.thumbprint !== link.thumbprint;
  if (!wrongUnwrap && !wrongThumbprint) return [];
  const detail = wrongUnwrap ? 'what was wrapped does not unwrap to itself' : 'the key has another thumbprint than when it was linked';
  const action =
    link.standbyOf === null
      ? 'Name the key version that holds the material.'
      : 'Restore a backup of the primary key into the vault of the standby.';
  return [findingOf(candidate, 'MaterialMismatch', detail, action)];
}

/** K5: backups may need a former protector; one that denies its unwrap is found now, not on the day of the restore. */
function formerFindings({ candidate, link, unwrap }: LinkSeen): readonly Finding[] {
  if (link.role !== 'additional' || unwrap.kind !== 'fault' || unwrap.fault.reach === null) return [];
  return [
    findingOf(
      candidate,
      'FormerKeyUnusable',
      `what this key wrapped cannot be read: ${unwrap.fault.detail}`,
      'Give back access to the key, or drop it if no backup needs it.',
    ),
  ];
}

/** F3: a proof that is too old forbids failover. It is told where this very audit could not renew it. */
function proofFindings({ candidate, link, provenAt, primaryDenied, unwrap }: LinkSeen, context: AuditContext): readonly Finding[] {
  if (unwrap.kind === 'fault' && unwrap.fault.reach !== null) return []; // Denied: a graver finding tells of that.
  const maxAge = link.standbyOf === null ? context.proofMaxAgeMs : context.standbyProofMaxAgeMs;
  if (provenAt !== null && span(provenAt, context.now) <= maxAge) return [];
  const last = provenAt === null ? 'it was never proven' : `it was last proven at ${toRfc3339(provenAt)}`;
  const [why, action] = primaryDenied
    ? ['its primary denies access, so that nothing may be called here', 'Give back access to the primary first.']
    : ['no failover rests on it', 'See that the vault answers the broker; the next look renews the proof.'];
  return [{ ...findingOf(candidate, 'ProofStale', `${last}; ${why}`, action), severity: primaryDenied ? 'info' : 'warning' }];
}

interface Stage {
  readonly days: number;
  readonly severity: Severity;
}

/** P1: the forecast of expiry, nearest first. */
const stages: readonly Stage[] = [
  { days: 1, severity: 'error' },
  { days: 7, severity: 'error' },
  { days: 30, severity: 'warning' },
  { days: 90, severity: 'info' },
];
const dayMs = 86_400_000;

/** The expiry of a key that is still valid. An additional key goes on to unwrap after it (C2): never more than info there. */
function expiryFindings(candidate: Candidate, { expires }: KeyFacts, now: Instant, use: 'protector' | 'additional'): readonly Finding[] {
  if (expires === null || expires <= now) return [];
  const stage = stages.find(({ days }) => expires - now <= days * dayMs);
  if (stage === undefined) return [];
  const within = stage.days === 1 ? '1 day' : `${stage.days} days`;
  const detail = `the key expires within ${within}, at ${toRfc3339(instant(expires))}`;
  const action = 'Extend the expiry of the key version, or set a newer key as the protector.';
  const severity = use === 'protector' ? stage.severity : 'info';
  return [{ ...findingOf(candidate, 'KeyExpiresSoon', detail, action), severity }];
}

/** K1, K5: each standby beside its primary, also those of former protectors. */
function pairFindings(seen: readonly LinkSeen[]): readonly Finding[] {
  const withThumbprint = ({ candidate, get, link }: LinkSeen) => ({
    ...candidate,
    thumbprint: get.kind === 'ok' ? get.value.thumbprint : link.thumbprint,
  });
  return seen.flatMap((standby) => {
    const primary = seen.find(({ link }) => link.keyId === standby.link.standbyOf);
    return primary === undefined ? [] : standbyFindings({ primary: withThumbprint(primary), standby: withThumbprint(standby) });
  });
}

/** The same thing seen in two ways is told once a link; the first telling stands, or the first as an error where there is one. */
function onceALink(findings: readonly Finding[]): readonly Finding[] {
  const told = new Map<string, Finding>();
  for (const finding of findings) {
    const of = `${finding.code}|${finding.keyId ?? ''}`;
    const known = told.get(of);
    if (known === undefined || (known.severity !== 'error' && finding.severity === 'error')) told.set(of, finding);
  }
  return [...told.values()];
}

/** Share of a vault's association budget from which on it is tight. */
const tightShare = 0.9;

/** B1: the room that a vault has left for databases. */
export function roomFindings(vault: string, points: { readonly used: number; readonly limit: number }): readonly Finding[] {
  const { used, limit } = points;
  if (used < limit * tightShare) return [];
  return [
    {
      code: 'BudgetTight',
      severity: used > limit ? 'error' : 'warning',
      server: null,
      keyId: null,
      vault,
      detail: `its databases count ${used} of ${limit} points`,
      action: 'Place further servers in another vault.',
    },
  ];
}
