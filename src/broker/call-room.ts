import { refuse } from '../domain/refusal.ts';
import type { Refusal } from '../domain/refusal.ts';
import type { Link } from '../domain/server.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { shapeAt } from '../policy/rate.ts';
import type { AdmissionRequest } from '../ports/admission.ts';
import type { KeyCall, Rewrap } from './key-call.ts';
import type { Parts } from './parts.ts';
import { longestAttempts } from './spending.ts';

/**
 * Room for a call in the rate budget of the vault that it goes to (B2, B4). Undefined: it may go at once. A promise: it waits for its turn;
 * it resolves to the same two answers.
 *
 * The unwrap of a rewrap gets room for its wrap too, since an unwrap whose wrap is refused was in vain, and the caller would begin with
 * another one: a fleet that rewraps all at once after a rotation would never end. So the plaintext waits for nothing (C4). A wrap that then
 * goes to another vault than was foreseen asks for room there like any other.
 */
export type CallRoom = <T>(link: Link, call: KeyCall<T>) => MaybeRoom;

type MaybeRoom = undefined | Refusal | Promise<Refusal | undefined>;

type RoomParts = Pick<Parts, 'admission' | 'circuits' | 'clock' | 'registry' | 'rules'>;

export function createCallRoom({ admission, circuits, clock, registry, rules }: RoomParts): CallRoom {
  /**
   * Until when, by the monotonic clock, rewraps were told to come back at most, by the vault that had no room for them. A time that is over
   * counts on: in a storm the vault that was scarcer is so still, and else the order costs nothing.
   */
  const scarceUntil = new Map<string, number>();

  function shapeOf(link: Link): AdmissionRequest['key'] {
    return shapeAt(registry.peekVault(link.vault)?.kind ?? 'vault', link);
  }

  function requestFor<T>(link: Link, call: KeyCall<T>): AdmissionRequest {
    return {
      vault: link.vault,
      server: call.registered.server.name,
      key: shapeOf(link),
      class: call.operation === 'wrapKey' ? 'wrap' : 'unwrap',
      tier: call.tier,
      points: rules.association.points[call.tier],
      within: waitAtMost(call),
    };
  }

  /** A call that leaves the queue when its time is nearly over is no help to anyone: half an attempt is kept for the call itself. */
  function waitAtMost<T>({ deadline }: KeyCall<T>): Millis {
    const left = deadline - clock.elapsed();
    return millis(Math.max(0, left - Math.min(rules.attemptMs, left) / 2));
  }

  function ask(request: AdmissionRequest): MaybeRoom {
    const verdict = admission.admit(request);
    if (verdict === undefined) return undefined;
    return verdict instanceof Promise ? verdict.then((late) => refusalFor(request.vault, late)) : refusalFor(request.vault, verdict);
  }

  /** Where the wrap goes as things are now: an open circuit leads to the standby. */
  function wrapLinkOf({ to: { primary, standbys } }: Rewrap): Link {
    return [primary, ...standbys].find(({ vault }) => circuits.state(vault, 'wrapKey').state === 'closed') ?? primary;
  }

  async function askAndLearn(request: AdmissionRequest): Promise<Refusal | undefined> {
    const refused = await ask(request);
    const until = refused?.retryAfterMs === undefined ? 0 : clock.elapsed() + refused.retryAfterMs;
    scarceUntil.set(request.vault, Math.max(until, scarceUntil.get(request.vault) ?? 0));
    return refused;
  }

  /**
   * First at the vault where room is scarcer, as the others that were refused found it; else for the wrap: where that vault has none,
   * nothing is lost at the other. What was got first is not held for longer than half an attempt: the vault would see the call that much
   * later than its budget has it.
   */
  async function findAtBoth<T>(link: Link, wrapLink: Link, call: KeyCall<T>): Promise<Refusal | undefined> {
    const unwrapFirst = (scarceUntil.get(link.vault) ?? 0) > (scarceUntil.get(wrapLink.vault) ?? 0);
    const first = requestFor(unwrapFirst ? link : wrapLink, call);
    const second = requestFor(unwrapFirst ? wrapLink : link, call);
    const noFirst = await askAndLearn(first);
    if (noFirst !== undefined) return withPlaceAt(second, noFirst, call);
    const noSecond = await askAndLearn({ ...second, within: millis(Math.min(second.within, rules.attemptMs / 2)) });
    if (noSecond === undefined) return undefined;
    admission.ended(first);
    return withPlaceAt(first, noSecond, call);
  }

  /** Who comes back as one vault told is to find room at the other one, too. */
  async function withPlaceAt<T>(other: AdmissionRequest, refused: Refusal, call: KeyCall<T>): Promise<Refusal> {
    if (refused.retryAfterMs === undefined) return refused;
    const told = { comeBack: refused.retryAfterMs, left: waitAtMost(call) };
    return { ...refused, retryAfterMs: await admission.keep(other, told) };
  }

  /** Room that was got long ago is forgotten by the budget: what goes by it would count at no time. */
  function hasRoom({ room }: Rewrap, { vault }: Link): boolean {
    return room?.vault === vault && clock.elapsed() - room.at < longestAttempts * rules.attemptMs;
  }

  function findForBoth<T>(link: Link, call: KeyCall<T>, rewrap: Rewrap): MaybeRoom {
    const one = requestFor(link, call);
    const wrapLink = wrapLinkOf(rewrap);
    if (hasRoom(rewrap, wrapLink)) return ask(one);
    const keep = (refused: Refusal | undefined): Refusal | undefined => {
      if (refused === undefined) rewrap.room = { vault: wrapLink.vault, at: clock.elapsed() };
      return refused;
    };
    if (wrapLink.vault !== link.vault) return findAtBoth(link, wrapLink, call).then(keep);
    const verdict = ask({ ...one, also: shapeOf(wrapLink), points: 2 * one.points });
    return verdict instanceof Promise ? verdict.then(keep) : keep(verdict);
  }

  return (link, call) => {
    const { operation, rewrap } = call;
    if (rewrap !== undefined && operation === 'unwrapKey') return findForBoth(link, call, rewrap);
    if (rewrap === undefined || !hasRoom(rewrap, link)) return ask(requestFor(link, call));
    rewrap.room = null;
    return undefined;
  };
}

function refusalFor(vault: string, retryAfterMs: Millis | undefined): Refusal | undefined {
  if (retryAfterMs === undefined) return undefined;
  return refuse('Throttled', `the rate budget of vault ${vault} is used up`, { retryable: true, retryAfterMs }).refusal;
}
