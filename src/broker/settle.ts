import type { LinkRef } from '../domain/access.ts';
import { isDenial } from '../domain/fault.ts';
import type { Fault } from '../domain/fault.ts';
import type { Finding } from '../domain/finding.ts';
import { refuse } from '../domain/refusal.ts';
import type { Attempt, Refusal } from '../domain/refusal.ts';
import { millis } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { findingFrom } from '../policy/fault-findings.ts';
import type { ProofStep } from '../policy/fault-findings.ts';
import { consequenceOf, leadsOn } from '../policy/verdict.ts';
import { StoreAway } from '../ports/store.ts';
import type { AttemptParts, Tried } from './key-call.ts';
import { createSharedLooks } from './shared-looks.ts';
import { denialOf } from './witness.ts';
import type { Sight, WitnessTarget } from './witness.ts';

/** A call that failed. */
interface Failed {
  readonly fault: Fault;
  readonly receivedAt: Instant;
  readonly attempt: Attempt;
  /** Monotonic milliseconds by which the caller must have heard. */
  readonly deadline: number;
}

type Operation = 'wrapKey' | 'unwrapKey';

/** What an answer of a vault means for the link, the vault and the caller. */
export interface Settle {
  /** Off the road of the answer. */
  success(target: WitnessTarget, operation: Operation, success: { readonly sentAt: Instant; readonly known: string | null }): void;
  /** A denial is durable when this resolves (F4). */
  failure(target: WitnessTarget, operation: Operation, failed: Failed): Promise<Extract<Tried<never>, { kind: 'outage' | 'refused' }>>;
}

/** When it is worth to ask again after a denial that is not confirmed. */
const comeBackMs = millis(1000);

/** What a caller is told still has to be put down and sent. */
const toAnswerMs = millis(250);

export function createSettle({ parts, access, outages, witness }: AttemptParts): Settle {
  const { admission, clock, registry } = parts;
  const sharedLook = createSharedLooks(async (target) => {
    const sight = await witness.look(target, 'probe');
    if (sight === 'outage') await outages.met(target.ref.vault, target, clock.now(), 'unwrapKey');
    return sight;
  });

  /** The look of which a caller waits for as long as there is time to answer: it goes on all the same, and what it sees is stored. */
  async function lookInTime(target: WitnessTarget, deadline: number): Promise<Sight> {
    const look = sharedLook(target);
    const seen = new AbortController();
    const left = millis(Math.max(0, deadline - clock.elapsed() - toAnswerMs));
    const timeOver = clock.pause(left, seen.signal).then(() => 'undecided' as const);
    return Promise.race([look, timeOver]).finally(() => seen.abort());
  }

  /** F4: a denial of wrap forbids failover at once; the canary at the same link tells whether it is a latch. */
  async function wrapDenied(target: WitnessTarget, { fault, receivedAt, deadline }: Failed): Promise<Refusal> {
    const seen = denialOf(fault, receivedAt, clock.uuid());
    // Both at once and before the look: with the store away, each is kept.
    await Promise.all([
      seen === undefined ? undefined : access.otherDenied(target.ref, seen),
      access.refused(target.ref, {
        operation: 'wrapKey',
        since: receivedAt,
        finding: 'WrapDenied',
        found: finding(target.ref, fault, 'wrap'),
      }),
    ]);
    const sight = await lookInTime(target, deadline);
    if (sight === 'denied' || access.known(target.ref)?.latch) return denied(target, fault);
    // F6: while nobody has seen whether unwrap works, the denial may be a false one.
    const proven = sight === 'proven';
    const told = proven ? 'wrap is denied while unwrap works' : 'wrap is denied';
    const detail = `vault ${target.ref.vault}: ${told} (${fault.code ?? fault.class})`;
    const again = proven ? { retryable: false } : { retryable: true, retryAfterMs: comeBackMs };
    return refuse('KeyAccessDenied', detail, { ...again, findings: [finding(target.ref, fault, 'wrap')] }).refusal;
  }

  /** What is wrong and what to do, in the words of an audit of the same key. */
  function finding(ref: LinkRef, fault: Fault, step: ProofStep): Finding {
    return findingFrom({ server: ref.server, keyId: ref.keyId, vault: registry.peekVault(ref.vault) }, fault, step);
  }

  function denied({ ref }: WitnessTarget, fault: Fault): Refusal {
    const suspected = access.known(ref)?.latch?.status !== 'confirmed';
    const again = suspected ? { retryable: true, retryAfterMs: comeBackMs } : { retryable: false };
    const detail = `vault ${ref.vault} denies access to the key: ${fault.detail}`;
    return refuse('KeyAccessDenied', detail, { ...again, findings: [finding(ref, fault, 'unwrap')] }).refusal;
  }

  async function unwrapDenied(target: WitnessTarget, { fault, receivedAt }: Failed): Promise<Refusal> {
    const seen = denialOf(fault, receivedAt, clock.uuid());
    if (seen !== undefined) await access.denied(target.ref, { ...seen, witness: false });
    return denied(target, fault);
  }

  /** What the caller hears of a fault that is neither outage nor denial. */
  async function plainRefusal(target: WitnessTarget, operation: Operation, { fault, receivedAt }: Failed): Promise<Refusal> {
    const retryAfterMs = fault.class === 'throttled' ? { retryAfterMs: admission.throttled(target.ref.vault) } : {};
    if (fault.mayHideDenial) await access.doubted(target.ref, receivedAt);
    const consequence = consequenceOf(fault, operation === 'wrapKey' ? 'wrap' : 'unwrap');
    return refuse(consequence.code, `vault ${target.ref.vault}: ${fault.detail}`, { retryable: consequence.retryable, ...retryAfterMs })
      .refusal;
  }

  async function refusalOf(target: WitnessTarget, operation: Operation, failed: Failed): Promise<Refusal> {
    const { fault, receivedAt } = failed;
    if (fault.outsideValidity) {
      // C2: no denial of access, but wrap does not fail over until it succeeds here.
      const found = finding(target.ref, fault, 'wrap');
      await access.refused(target.ref, { operation: 'wrapKey', since: receivedAt, finding: 'KeyExpired', found });
      const findings = [found];
      return refuse('KeyAccessDenied', `vault ${target.ref.vault} refuses to wrap: ${fault.detail}`, { retryable: false, findings })
        .refusal;
    }
    if (!isDenial(fault.class)) return plainRefusal(target, operation, failed);
    return operation === 'wrapKey' ? wrapDenied(target, failed) : unwrapDenied(target, failed);
  }

  return {
    success(target, operation, success) {
      outages.answered(target.ref.vault, success.sentAt);
      if (operation === 'unwrapKey') void access.proven(target.ref, success);
      else access.allowed(target.ref, 'wrapKey', success.sentAt);
    },

    async failure(target, operation, failed) {
      const { attempt, fault, receivedAt } = failed;
      try {
        if (!consequenceOf(fault, 'get').outage)
          return { kind: 'refused', refusal: await refusalOf(target, operation, failed), attempt, leadsOn: leadsOn(fault) };
        await outages.met(target.ref.vault, target, receivedAt, operation);
        return { kind: 'outage', attempt };
      } catch (error) {
        if (!(error instanceof StoreAway)) throw error;
        const detail = `vault ${target.ref.vault}: ${fault.detail}; the store that decides on failover is away`;
        return { kind: 'refused', refusal: refuse('StateUnavailable', detail, { retryable: true }).refusal, attempt };
      }
    },
  };
}
