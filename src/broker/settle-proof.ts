import { sameLink } from '../domain/access.ts';
import type { LinkRef } from '../domain/access.ts';
import type { RegisteredServer } from '../domain/server.ts';
import type { DenialSeen } from '../policy/denial.ts';
import type { Candidate } from '../policy/key-rules.ts';
import { StoreAway } from '../ports/store.ts';
import type { AttemptParts } from './key-call.ts';
import { createSettleReply } from './link-replies.ts';
import { candidateRef } from './prove-key.ts';
import type { StepReply } from './prove-key.ts';
import { denialOf, targetOf } from './witness.ts';

/**
 * What was met where a key was proven for a server (K4). At a key that it has linked already an answer counts as if traffic or the watch had
 * met it (F1–F4), also where the proof fails. Rejects with `StoreAway`: a denial that could not be stored is kept by `Access`.
 */
export type SettleProof = (registered: RegisteredServer, candidate: Candidate, met: StepReply) => Promise<void>;

export function createSettleProof(all: Pick<AttemptParts, 'parts' | 'access' | 'outages'>): SettleProof {
  const { parts, access } = all;
  const { admission, clock } = parts;
  const settle = createSettleReply(all);

  /**
   * At a key that this server has not linked, what is said of the whole vault counts for all that are linked there (F4, F7). What is said of
   * the key, or of the identity at it, counts where another server has linked that key, or by that identity: who names a wrong key must not
   * take failover from everybody else.
   */
  async function settleUnlinked({ server }: RegisteredServer, candidate: Candidate, { reply }: StepReply): Promise<void> {
    const { vault } = candidate;
    if (vault === undefined || reply.ok) return;
    const { fault, receivedAt } = reply;
    if (fault.class === 'throttled') admission.throttled(vault.name);
    // C2: what is only outside its time is not denied.
    const seen = fault.outsideValidity ? undefined : denialOf(fault, receivedAt, clock.uuid());
    const own = candidateRef(candidate, server.identityClientId);
    if (seen !== undefined && (await reachesOthers(own, seen))) await access.otherDenied(own, seen);
  }

  /** Where nobody can tell, it is taken to reach others: with the store away, it is kept. */
  async function reachesOthers(own: LinkRef, { reach }: DenialSeen): Promise<boolean> {
    try {
      const others = (await access.picture(own.vault)).links.filter(({ ref }) => !sameLink(ref, own));
      return others.some(({ ref }) => reach === 'vault' || (ref.keyId === own.keyId && (reach === 'key' || ref.identity === own.identity)));
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return true;
    }
  }

  return async (registered, candidate, met) => {
    const link = registered.links.find((one) => one.keyId === candidate.keyId);
    if (link === undefined) return settleUnlinked(registered, candidate, met);
    await settle(targetOf(registered, link), met.step, met.reply);
  };
}
