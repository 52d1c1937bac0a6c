import type { AccessPicture, Latch, LinkAccess, LinkRef } from '../domain/access.ts';
import { sameLink } from '../domain/access.ts';
import type { ServerState } from '../domain/server.ts';
import { earliest, plus, span, toRfc3339 } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import { newestDenialReaching, newestDoubt, newestProof } from './denial.ts';

/*
 * F3: may this standby be used now? Everything that the answer rests on is a value; the answer names the law that forbids.
 * Refuse by default: each rule must say yes, and what is not known says no.
 *
 * The pictures are at most a second old when the call begins. The server's state comes from the registry's copy, up to 5 s old: that is
 * enough beside the protector's own row, since every road out of `online` begins with a latch there that is confirmed.
 */

/** The numbers of F3 and F5, in milliseconds. */
export interface GateRules {
  /** The primary's proof may be so much older than the outage. */
  readonly proofMaxAgeMs: Millis;
  /** The standby's proof may be so much older than the outage. */
  readonly standbyProofMaxAgeMs: Millis;
  /** No failover for so long after a denial: rights spread unevenly. */
  readonly denialQuietMs: Millis;
  /** How far the clocks of two instances may differ: a proof counts as newer than a denial or a doubt only by more than this. */
  readonly clockSkewMs: Millis;
}

export interface GateQuestion {
  readonly now: Instant;
  readonly state: ServerState;
  /** The latch at the server's protector, which need not be the primary (K6). */
  readonly protectorLatch: Latch | null;
  readonly operation: 'wrapKey' | 'unwrapKey';
  readonly primary: LinkRef;
  readonly primaryPicture: AccessPicture;
  readonly standby: LinkRef;
  readonly standbyPicture: AccessPicture;
  /** What the control plane says of the primary's vault (F9). */
  readonly controlPlane: 'exists' | 'deleted' | 'unknown';
}

export type GateAnswer = { readonly open: true } | { readonly open: false; readonly law: string; readonly detail: string };

type Rule = (question: GateQuestion, rules: GateRules) => GateAnswer;

/** Asks the rules in order; the first that forbids answers. */
export function mayFailOver(question: GateQuestion, rules: GateRules): GateAnswer {
  for (const rule of gateRules) {
    const answer = rule(question, rules);
    if (!answer.open) return answer;
  }
  return open;
}

const open: GateAnswer = { open: true };

function forbidden(law: string, detail: string): GateAnswer {
  return { open: false, law, detail };
}

const gateRules: readonly Rule[] = [
  serverOnline,
  vaultNotDeleted,
  primaryNotLatched,
  primaryNotDeniedLately,
  operationNotRefused,
  primaryProven,
  standbyNotLatched,
  standbyProven,
];

function serverOnline({ state, protectorLatch }: GateQuestion): GateAnswer {
  if (state !== 'online') return forbidden('F3', `the server is ${state}, and only an online server fails over`);
  if (protectorLatch?.status !== 'confirmed') return open;
  return forbidden(
    'F3',
    `the protector is latched since ${toRfc3339(protectorLatch.firstDenialAt)}, so that the server is not online any more`,
  );
}

function vaultNotDeleted({ controlPlane, primary }: GateQuestion): GateAnswer {
  return controlPlane === 'deleted' ? forbidden('F9', `vault ${primary.vault} was deleted`) : open;
}

/** Also of a primary without a standby: whoever asks hears why access was denied before its vault went down. */
export function primaryNotLatched({ primary, primaryPicture }: Pick<GateQuestion, 'primary' | 'primaryPicture'>): GateAnswer {
  const latch = accessOf(primaryPicture, primary)?.latch;
  if (!latch) return open;
  return forbidden('F4', `access to the key in vault ${primary.vault} was denied at ${toRfc3339(latch.firstDenialAt)} (${latch.status})`);
}

function primaryNotDeniedLately({ primary, primaryPicture, now }: GateQuestion, rules: GateRules): GateAnswer {
  const denial = newestDenialReaching(primaryPicture, primary);
  if (denial === null || span(denial, now) >= rules.denialQuietMs) return open;
  return forbidden(
    'F5',
    `a denial in vault ${primary.vault} at ${toRfc3339(denial)} holds failover back until ${toRfc3339(plus(denial, rules.denialQuietMs))}`,
  );
}

function operationNotRefused({ primary, primaryPicture, operation }: GateQuestion): GateAnswer {
  if (operation !== 'wrapKey') return open;
  const refused = accessOf(primaryPicture, primary)?.refused.wrapKey;
  if (!refused) return open;
  return forbidden('F4', `wrap was refused in vault ${primary.vault} (${refused.finding}) and has not succeeded there since`);
}

function primaryProven(question: GateQuestion, rules: GateRules): GateAnswer {
  const { primary, primaryPicture, now } = question;
  return proven({ ref: primary, picture: primaryPicture, outageAt: outageAt(question), now, maxAgeMs: rules.proofMaxAgeMs }, rules);
}

/** When the outage began. One that begins in the future was stamped by a clock that has been set back since. */
function outageAt({ primaryPicture, now }: GateQuestion): Instant {
  return earliest(primaryPicture.health.outageSince ?? now, now);
}

function standbyNotLatched({ standby, standbyPicture }: GateQuestion): GateAnswer {
  const latch = accessOf(standbyPicture, standby)?.latch;
  return latch ? forbidden('F3', `the standby in vault ${standby.vault} is latched since ${toRfc3339(latch.firstDenialAt)}`) : open;
}

function standbyProven(question: GateQuestion, rules: GateRules): GateAnswer {
  const { standby, standbyPicture, now } = question;
  return proven({ ref: standby, picture: standbyPicture, outageAt: outageAt(question), now, maxAgeMs: rules.standbyProofMaxAgeMs }, rules);
}

interface ProofQuestion {
  readonly ref: LinkRef;
  readonly picture: AccessPicture;
  readonly outageAt: Instant;
  readonly now: Instant;
  readonly maxAgeMs: Millis;
}

function proven({ ref, picture, outageAt, now, maxAgeMs }: ProofQuestion, rules: GateRules): GateAnswer {
  const proof = newestProof(picture, ref, plus(now, rules.clockSkewMs));
  if (proof === null) return forbidden('F3', `nothing proves access to the key in vault ${ref.vault}`);
  if (span(proof, outageAt) > maxAgeMs)
    return forbidden('F3', `the newest proof of access in vault ${ref.vault} is of ${toRfc3339(proof)}, too old`);
  const denial = newestDenialReaching(picture, ref);
  if (denial !== null && voids(denial, proof, rules.clockSkewMs))
    return forbidden('F4', `a denial in vault ${ref.vault} at ${toRfc3339(denial)} voids the proof of access`);
  const doubt = newestDoubt(picture, ref);
  if (doubt !== null && voids(doubt, proof, rules.clockSkewMs))
    return forbidden('F1', `an answer of vault ${ref.vault} at ${toRfc3339(doubt)} may hide a denial`);
  return open;
}

/**
 * Whether a denial, or a doubt, makes a proof void: the proof was not sent after it by more than two clocks may differ.
 * @param denial when it was received.
 * @param proof when the unwrap that succeeded was sent.
 */
export function voids(denial: Instant, proof: Instant, clockSkewMs: Millis): boolean {
  return span(denial, proof) <= clockSkewMs;
}

function accessOf(picture: AccessPicture, ref: LinkRef): LinkAccess | undefined {
  return picture.links.find((access) => sameLink(access.ref, ref));
}
