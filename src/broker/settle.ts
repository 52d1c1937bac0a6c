import { isDenial } from '../domain/fault.ts';
import type { Fault } from '../domain/fault.ts';
import { refuse } from '../domain/refusal.ts';
import type { Attempt, Refusal } from '../domain/refusal.ts';
import { millis } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { consequenceOf, leadsOn } from '../policy/verdict.ts';
import { StoreAway } from '../ports/store.ts';
import { comeBackMs, createDeniedAccess } from './denied-access.ts';
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

/** What a caller is told still has to be put down and sent. */
const toAnswerMs = millis(250);

export function createSettle({ parts, access, outages, witness }: AttemptParts): Settle {
  const { admission, clock } = parts;
  const denied = createDeniedAccess({ parts, access });
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
        found: denied.finding(target.ref, fault, 'wrap'),
      }),
    ]);
    const sight = await lookInTime(target, deadline);
    if (sight === 'denied' || access.known(target.ref)?.latch) return denied.refusal(target.ref, fault);
    // F6: while nobody has seen whether unwrap works, the denial may be a false one.
    const proven = sight === 'proven';
    const told = proven ? 'wrap is denied while unwrap works' : 'wrap is denied';
    const detail = `vault ${target.ref.vault}: ${told} (${fault.code ?? fault.class})`;
    const again = proven ? { retryable: false } : { retryable: true, retryAfterMs: comeBackMs };
    return refuse('KeyAccessDenied', detail, { ...again, findings: [denied.finding(target.ref, fault, 'wrap')] }).refusal;
  }

  async function unwrapDenied(target: WitnessTarget, { fault, receivedAt }: Failed): Promise<Refusal> {
    const seen = denialOf(fault, receivedAt, clock.uuid());
    if (seen !== undefined) await access.denied(target.ref, { ...seen, witness: false });
    return denied.refusal(target.ref, fault);
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
    if (isDenial(fault.class)) outages.denied(target.ref.vault, receivedAt);
    if (fault.outsideValidity) {
      // C2: no denial of access, but wrap does not fail over until it succeeds here.
      const found = denied.finding(target.ref, fault, 'wrap');
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
