import type { RefusedOperation } from '../domain/access.ts';
import type { Fault } from '../domain/fault.ts';
import type { KeyOperation } from '../domain/key.ts';
import type { Instant } from '../domain/time.ts';
import { operationOf } from '../policy/fault-findings.ts';
import type { ProofStep } from '../policy/fault-findings.ts';
import { consequenceOf } from '../policy/verdict.ts';
import type { Reply } from '../ports/vault.ts';
import type { Access } from './access.ts';
import type { Parts } from './parts.ts';
import { denialOf } from './witness.ts';
import type { WitnessTarget } from './witness.ts';

/**
 * What an answer to a call that a person or a timer asked for means for a linked key and its vault: denials latch (F4), outages count for
 * the circuit (F2), a throttle slows the budget (F7), whoever asked. What an unwrap that succeeds proves is the caller's to say, who knows
 * which latch was known when it was sent (F5). Rejects with `StoreAway`: a denial that could not be stored is kept by `Access`.
 */
export type SettleReply = (target: WitnessTarget, step: ProofStep, reply: Reply<unknown>) => Promise<void>;

/** Who is told what calls met at a vault; `Outages` is. */
export interface OutageReports {
  /**
   * A call of `operation` met an outage: its beginning is durable when this resolves. Rejects with `StoreAway`. Starts looking with a canary.
   */
  met(vault: string, target: WitnessTarget, at: Instant, operation: KeyOperation): Promise<void>;
  /** A call was answered: ends a known outage, and a failover in time, off the road of the answer. Costs a map look-up where none is known. */
  answered(vault: string, sentAt: Instant): void;
  /** A call was denied at `at`, not by the control plane alone: ends a failover in time, not the outage (F3); as `answered`. */
  denied(vault: string, at: Instant): void;
}

interface SettleReplyParts {
  readonly parts: Pick<Parts, 'admission' | 'clock'>;
  readonly access: Access;
  readonly outages: OutageReports;
}

const operations = { get: 'get', wrap: 'wrapKey' } as const;
const refusedBy: Readonly<Record<keyof typeof operations, RefusedOperation['finding']>> = { get: 'GetDenied', wrap: 'WrapDenied' };

export function createSettleReply({ parts, access, outages }: SettleReplyParts): SettleReply {
  const { admission, clock } = parts;

  function succeeded({ ref }: WitnessTarget, step: ProofStep, sentAt: Instant): void {
    outages.answered(ref.vault, sentAt);
    if (step !== 'unwrap') access.allowed(ref, operations[step], sentAt);
  }

  async function failed(target: WitnessTarget, step: ProofStep, fault: Fault, receivedAt: Instant): Promise<void> {
    const { ref } = target;
    if (consequenceOf(fault, 'get').outage) return outages.met(ref.vault, target, receivedAt, operationOf[step]);
    if (fault.class === 'throttled') admission.throttled(ref.vault);
    if (fault.mayHideDenial) await access.doubted(ref, receivedAt);
    if (fault.outsideValidity) {
      // C2: no denial of access.
      if (step !== 'unwrap') await access.refused(ref, { operation: operations[step], since: receivedAt, finding: 'KeyExpired' });
      return;
    }
    const seen = denialOf(fault, receivedAt, clock.uuid());
    if (seen === undefined) return;
    outages.denied(ref.vault, receivedAt);
    if (step === 'unwrap') {
      await access.denied(ref, { ...seen, witness: true });
      return;
    }
    // F4: whether it is a latch the canary says, which is unwrapped at the same link after every other call. Both at once: with the store
    // away, each is kept.
    await Promise.all([
      access.otherDenied(ref, seen),
      access.refused(ref, { operation: operations[step], since: receivedAt, finding: refusedBy[step] }),
    ]);
  }

  return async (target, step, reply) => {
    if (reply.ok) succeeded(target, step, reply.sentAt);
    else await failed(target, step, reply.fault, reply.receivedAt);
  };
}
