import type { Fault } from '../domain/fault.ts';
import { refuse } from '../domain/refusal.ts';
import type { Attempt, Refusal } from '../domain/refusal.ts';
import type { Link } from '../domain/server.ts';
import { millis, rounded } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import { shapeAt } from '../policy/rate.ts';
import { heldBack } from '../ports/vault.ts';
import type { Reply } from '../ports/vault.ts';
import { createCallRoom } from './call-room.ts';
import type { AttemptParts, KeyCall, Tried } from './key-call.ts';
import { createSettle } from './settle.ts';
import { vaultOf } from './vault-of.ts';
import { targetOf } from './witness.ts';
import type { WitnessTarget } from './witness.ts';

/** To which vault a call wants, for which link, and what must allow it. */
interface Way {
  readonly vault: Vault;
  readonly link: Link;
  readonly target: WitnessTarget;
  readonly guard: Guard;
}

/** Tries one link: admission, then `guard`, then the call, then what its answer means. */
export interface Attempts {
  /**
   * @param guard asked before any point of the budget is spent, again after waiting in the queue, and last when the request is about to
   *   leave, so that what it rests on is not old when the vault is called.
   */
  at<T>(link: Link, call: KeyCall<T>, guard?: Guard): Promise<Tried<T>>;
}

/** Answers undefined where the call may be made, or the refusal. */
export type Guard = () => Promise<Refusal | undefined>;

const unguarded: Guard = () => Promise.resolve(undefined);

export function createAttempts(all: AttemptParts): Attempts {
  const { admission, circuits, clock, registry, rules } = all.parts;
  const settle = createSettle(all);
  const room = createCallRoom(all.parts);

  /** At once where nobody has to wait, as in the healthy case. @param waited for the try of another, since the guard was asked. */
  function admitted<T>({ link, guard }: Way, call: KeyCall<T>, waited: boolean): undefined | Refusal | Promise<Refusal | undefined> {
    const verdict = room(link, call);
    if (verdict instanceof Promise) return verdict.then((refused) => refused ?? guard());
    return verdict === undefined && waited ? guard() : verdict;
  }

  /** One try, from its place in the queue to what its answer means. */
  function tryOnce<T>(way: Way, call: KeyCall<T>, waited: boolean): Promise<Tried<T>> {
    const verdict = admitted(way, call, waited);
    return verdict === undefined ? callOnce(way, call) : tryAdmitted(way, call, verdict);
  }

  async function tryAdmitted<T>(way: Way, call: KeyCall<T>, verdict: Refusal | Promise<Refusal | undefined>): Promise<Tried<T>> {
    const refused = await verdict;
    return refused === undefined ? callOnce(way, call) : unsent(refused);
  }

  /** The call that was admitted, and what its answer means. */
  async function callOnce<T>(way: Way, call: KeyCall<T>): Promise<Tried<T>> {
    const { vault, link, target } = way;
    const left = call.deadline - clock.elapsed();
    // With less, a sound vault that is a little slow would look like one that is down.
    if (left < rules.attemptMs / 4) return unsent(timeOver);
    // INVARIANT: read before the call is sent; only this latch may be released by its success (F5).
    const known = all.access.known(target.ref)?.latch?.generation ?? null;
    const within = millis(Math.min(rules.attemptMs, left));
    let last: ReturnType<Guard> | undefined;
    const mayLeave = way.guard === unguarded ? undefined : async () => (await (last = way.guard())) === undefined;
    const send = (): Promise<Reply<T>> => call.send({ vault, keyId: link.keyId, identity: target.ref.identity, mayLeave }, within);
    const reply = await circuits.through(vault.name, { keyId: link.keyId, operation: call.operation }, send);
    admission.ended({ vault: vault.name, key: shapeAt(vault.kind, link), points: rules.association.points[call.tier] });
    const refusedAtLast = await last;
    if (refusedAtLast !== undefined) return unsent(refusedAtLast);
    // The question took all of the time: nothing was sent.
    if (reply?.ok === false && reply.fault.code === heldBack) return unsent(timeOver);
    if (reply === undefined) return { kind: 'outage', attempt: uncalled(link) };
    const attempt = attemptOf(reply, link);
    if (reply.ok) {
      settle.success(target, call.operation, { sentAt: reply.sentAt, known });
      return { kind: 'served', value: reply.value, attempt };
    }
    const { fault, receivedAt } = reply;
    return settle.failure(target, call.operation, { fault, receivedAt, attempt, deadline: call.deadline });
  }

  return {
    async at<T>(link: Link, call: KeyCall<T>, guard = unguarded): Promise<Tried<T>> {
      const vault = registry.peekVault(link.vault) ?? (await vaultOf(registry, link.vault));
      if (vault === undefined) return unsent(refuse('Internal', `vault ${link.vault} is linked but not registered`).refusal);
      const target = targetOf(call.registered, link);
      if (circuits.state(vault.name, call.operation).state !== 'closed') {
        all.outages.lookAgain(vault.name, target);
        return { kind: 'outage', attempt: uncalled(link) };
      }
      if (call.deadline <= clock.elapsed()) return unsent(timeOver);
      // Each caller is gated for itself, also one who joins a call that is under way (C4).
      const refused = guard === unguarded ? undefined : await guard();
      if (refused !== undefined) return unsent(refused);
      const way: Way = { vault, link, target, guard };
      // Awaited here, since a promise that is only returned is awaited by two turns more.
      if (call.share === undefined) return await tryOnce(way, call, false);
      if (call.rewrap === undefined) return await call.share(target.ref, (waited) => tryOnce(way, call, waited));
      // Also one that joins a call that is under way must have room for its wrap by then.
      const noRoom = await admitted(way, call, false);
      if (noRoom !== undefined) return unsent(noRoom);
      // Room for a call that was not made then is not room for one that is made now: the budget counted it at its time.
      return call.share(target.ref, (waited) => (waited ? tryOnce(way, call, waited) : callOnce(way, call)));
    },
  };
}

const timeOver = refuse('DeadlineExceeded', 'the time for the request is over', { retryable: true }).refusal;

function unsent(refusal: Refusal): Extract<Tried<never>, { kind: 'refused' }> {
  return { kind: 'refused', refusal, attempt: null };
}

function roleOf(link: Link): Attempt['role'] {
  return link.standbyOf === null ? 'primary' : 'standby';
}

/** The vault was not called, since its circuit is open. */
function uncalled(link: Link): Attempt {
  return { vault: link.vault, role: roleOf(link), class: 'circuitOpen', status: null, vaultCode: null, ms: millis(0) };
}

function attemptOf<T>(reply: Reply<T>, link: Link): Attempt {
  const fault: Fault | null = reply.ok ? null : reply.fault;
  return {
    vault: link.vault,
    role: roleOf(link),
    class: fault?.class ?? 'ok',
    status: fault === null ? 200 : fault.status,
    vaultCode: fault?.code ?? null,
    ms: rounded(reply.ms),
  };
}
