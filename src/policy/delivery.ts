import type { DeliveryState, Failing, HeldEvent, SettledEvent } from '../domain/delivery.ts';
import type { BrokerEvent } from '../domain/event.ts';
import { days, earliest, instant, millis, minutes, plus, seconds, span } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';

/*
 * P2: each webhook hears each event at least once, in order of time for each subject. One event that is refused holds up its own subject
 * only; a receiver that takes nothing is left alone for a while and holds up nobody.
 */

/** An event that could not be delivered for so long is given up. */
export const diesAfter: Millis = days(3);
/** So long the events behind one that cannot be read are left to a newer instance, which can tell of all in order. */
export const readableWithin: Millis = minutes(3);
/** Events may reach the log so much later than their own time: what a killed instance left is published by the next watch. */
export const arrivesWithin: Millis = minutes(3);
/** How long a pass may begin new requests, by its own monotonic clock; its lease outlasts the last request. */
export const passLasts: Millis = seconds(20);
export const leaseLasts: Millis = minutes(1);
/** A pass settles at most so many events, so that what it did is soon stored. */
export const eventsPerPass = 500;
/** More is neither held nor remembered (a row holds a megabyte): the delivery waits until there is room again. */
export const mostHeld = 100;
export const mostSettled = 3000;
/** So many of the dead letters are shown. */
export const mostLastDead = 20;
/** So many subjects refused in a row, and none taken, and it is the receiver that fails. */
export const refusalsThatMeanAway = 3;

const firstBackoff = seconds(5);
const longestBackoff = minutes(5);
/** A receiver may name a time, within reason. */
const longestRetryAfter = minutes(60);

/** The state of a webhook that was never delivered to: it hears what happens from `from` on. */
export function firstState(address: string, from: Instant): DeliveryState {
  return {
    address,
    from,
    settled: [],
    held: [],
    failing: null,
    stoppedAt: null,
    agreed: null,
    lastSentAt: null,
    deadLetters: 0,
    lease: null,
  };
}

/** The state under the address that is configured now. At a new address the receiver is asked anew; nothing is lost on the way. */
export function atAddress(state: DeliveryState, address: string): DeliveryState {
  return state.address === address ? state : { ...state, address, agreed: null, failing: null, stoppedAt: null };
}

/** Whether another instance delivers now. A lease that ends later than any that could have been taken was stamped by a clock that jumped. */
export function leased({ lease }: DeliveryState, now: Instant): boolean {
  return lease !== null && lease.until > now && span(now, lease.until) <= leaseLasts * 2;
}

/**
 * Whether a pass has nothing to do but to move `from` on, and that only by some minutes: a state that is not written costs nothing.
 * @param fresh events of the log that it has not settled and does not hold, the oldest at least.
 */
export function isIdle(state: DeliveryState, fresh: readonly BrokerEvent[], now: Instant): boolean {
  const { stoppedAt } = state;
  if (leased(state, now) || !due(state.failing, now)) return true;
  if (stoppedAt !== null) return ![...fresh, ...state.held.map(({ event }) => event)].some((event) => isDead(event, stoppedAt, now));
  const waiting = fresh.length > 0 || firstHeld(state.held).some(({ failing }) => due(failing, now));
  return !waiting && span(state.from, now) < arrivesWithin * 3;
}

/** Whether what failed may be tried again. */
export function due(failing: Failing | null, now: Instant): boolean {
  return failing === null || failing.nextAt <= now || span(now, failing.nextAt) > longestRetryAfter;
}

/**
 * One more failure in a row: doubling pauses from 5 s to 5 min, of each half at random, so that receivers that fell together are not
 * met together.
 * @param chance from 0 to 1.
 * @param retryAfterMs what the receiver asked for; the longer of both holds.
 */
export function failedAgain(
  before: Failing | null,
  { now, reason, chance, retryAfterMs }: { now: Instant; reason: string; chance: number; retryAfterMs: Millis | null },
): Failing {
  const attempts = (before?.attempts ?? 0) + 1;
  const full = Math.min(longestBackoff, firstBackoff * 2 ** Math.min(attempts - 1, 20));
  const pause = Math.max(full * (0.5 + chance / 2), Math.min(retryAfterMs ?? 0, longestRetryAfter));
  return { since: before?.since ?? now, attempts, nextAt: plus(now, millis(Math.round(pause))), reason };
}

/**
 * Whether an event is given up: for three days it could have been delivered, and was not. Counted from the first failure of the receiver
 * where that came after the event: time in which nobody tried does not count.
 */
export function isDead(event: BrokerEvent, failingSince: Instant, now: Instant): boolean {
  return span(instant(Math.max(event.time, failingSince)), now) >= diesAfter;
}

/** Of each subject the first event that is held. */
export function firstHeld(held: readonly HeldEvent[]): readonly HeldEvent[] {
  return [...new Map(held.toReversed().map((one) => [one.event.subject, one])).values()].toReversed();
}

/**
 * The oldest event that cannot be read and behind which nothing is told of yet: it may be of the same subject. Null: there is none. In a
 * rollout newer instances read it and are the next to take the lease; what nobody reads in that time holds up nothing any more.
 */
export function firstGap(unreadable: readonly Instant[], now: Instant): Instant | null {
  return oldest(unreadable.filter((at) => span(at, now) < readableWithin));
}

function oldest(instants: readonly Instant[]): Instant | null {
  const [first, ...others] = instants;
  return first === undefined ? null : others.reduce(earliest, first);
}

/** A sweep that ended: what was announced before it is published, but for what could not be, which was announced `unpublishedSince` at the earliest. */
export interface Swept {
  readonly at: Instant;
  readonly unpublishedSince: Instant | null;
}

/** What is still to be delivered: the oldest event that was read and is left, and the times of those that cannot be read. */
export interface Open {
  readonly left: Instant | null;
  readonly unreadable: readonly Instant[];
}

/**
 * From where the log is read next: from the oldest event that is still to be delivered, and from so far back that what arrives late is
 * seen, counted from the last sweep; null: none is known, so it stays. What cannot be read is waited for as what cannot be published is: the
 * place is stored, so that no instance that begins anew passes over it.
 */
export function nextFrom(state: DeliveryState, { left, unreadable }: Open, swept: Swept | null): Instant {
  if (swept === null) return state.from;
  const { at, unpublishedSince } = swept;
  const waitedFor = [...unreadable, ...(unpublishedSince === null ? [] : [unpublishedSince])].filter((one) => span(one, at) < diesAfter);
  const late = oldestLate(state, at, oldest(waitedFor));
  return instant(Math.max(state.from, left === null ? late : Math.min(late, left)));
}

/** What is not published yet is given up as what is not delivered is, and sooner where all that came after it would fill the row. */
function oldestLate({ settled }: DeliveryState, sweptAt: Instant, waitedFor: Instant | null): Instant {
  const late = instant(sweptAt - arrivesWithin);
  if (waitedFor === null) return late;
  const waitingFor = instant(Math.min(late, waitedFor - arrivesWithin));
  return stillSettled(settled, waitingFor).length > mostSettled / 2 ? late : waitingFor;
}

/** What must be remembered when the log is read from `from` on. */
export function stillSettled(settled: readonly SettledEvent[], from: Instant): readonly SettledEvent[] {
  return settled.filter(({ at }) => at >= from);
}
