import { add, fits, nothing, times } from '../domain/budget.ts';
import type { Amount } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { addClaims, markOf } from '../policy/claims.ts';
import type { Demand } from '../policy/draw.ts';
import { announce, cautionFor, onTheWayMs } from '../policy/forecast.ts';
import type { Need } from '../policy/forecast.ts';
import type { Bookings, Place } from './bookings.ts';
import type { LeaseHolder } from './lease-holder.ts';
import type { Call, WaitingCalls } from './waiting-calls.ts';

/** What one instance may announce before the others are told, as a share of the limit: else all would promise the same supply in a storm. */
const untoldShare = 0.02;

/**
 * What each of the others may have announced that this one does not see, as a share of the limit: as much before it tells the row as while it
 * does. Of three others at most: where there are more, each has less of the crowd.
 */
const unseenShare = 2 * untoldShare;
const mostUnseen = 3;

/** By a row that was read longer ago than so many ms, a caller whom another instance expects here would be sent away. */
export const oldMs = 700;

/** What another vault told a caller who needs both: to come back after so long. Then it waits there first, for about so long. */
export interface ToldElsewhere {
  readonly comeBack: Millis;
  readonly waitsMs: Millis;
}

/** What a call needs that it can start, and when one that is sent away is told to come back (B4). */
export class Announcements {
  readonly #holder: LeaseHolder;
  readonly #queue: WaitingCalls;
  readonly #bookings: Bookings;
  readonly #windowMs: number;
  #untold = 0;

  constructor(holder: LeaseHolder, queue: WaitingCalls, bookings: Bookings, windowMs: number) {
    this.#holder = holder;
    this.#queue = queue;
    this.#bookings = bookings;
    this.#windowMs = windowMs;
  }

  /** Points that were announced and are not in the row yet. */
  get untold(): number {
    return this.#untold;
  }

  /** The row tells of so many points that were {@link untold}. */
  told(points: number): void {
    this.#untold -= points;
  }

  /**
   * Whether a time may be announced now; else the call waits for the next draw, which tells the others, and tells who is expected here. None
   * does while the store is away.
   */
  mayAnnounce(cost: Amount, now: number): boolean {
    const { picture, away } = this.#holder;
    if (picture.alone || away.inForce(now)) return true;
    return picture.age(now) <= oldMs && this.#untold + cost.points <= picture.limit(now).points * untoldShare;
  }

  /** Whether the others are to be told what was announced, although no lease is wanted. @param call costs what no lease covers by then. */
  owes(call: Amount, now: number): boolean {
    return this.#untold > 0 && !this.mayAnnounce(call, now) && !fits(call, this.#holder.left(now));
  }

  /** Whether one that has no place here may have been told by another instance to come now: then those who have places here may be there. */
  mayBeExpected(now: number): boolean {
    const { picture } = this.#holder;
    return picture.expects(now) || (this.#bookings.due.total.points > 0 && picture.rivals(now) > 0);
  }

  needOf({ server, turn, cost, booked }: Call, now: number): Need {
    const due = !booked && this.mayBeExpected(now) ? nothing : this.#bookings.due.ahead(turn);
    const load = add(add(this.#queue.ahead(turn), due), cost);
    const mark = this.markOf(server, cost);
    return { load, promised: this.#bookings.ahead(turn), claim: addClaims(this.#queue.claim, cost), mark, caution: 1 };
  }

  /** How much a server claims here with one call more (policy/claims.ts). */
  markOf(server: string, { points }: Amount): number {
    return markOf(this.#queue.pointsOf(server) + this.#bookings.pointsOf(server) + points);
  }

  /** What this instance has to get. */
  demand(now: number): Demand {
    const queued = this.#queue.claim;
    const promised = this.#bookings.told(now);
    return {
      waiting: addClaims(queued, this.#bookings.due.claim),
      claim: addClaims(queued, this.#bookings.counted.claim),
      announced: promised.reduce((sum, { amount }) => addClaims(sum, amount), queued),
      promised,
      expected: this.#bookings.expected(now),
    };
  }

  /**
   * The place of a call that is sent away, and how long its caller is told to stay away.
   * @param elsewhere what it was told by another vault: it comes back no sooner, and waits there first.
   */
  placeFor(call: Call, now: number, elsewhere?: ToldElsewhere): { readonly comeBack: Millis; readonly place: Place } {
    const { picture } = this.#holder;
    const rivals = picture.rivals(now);
    const need = this.needOf(call, now);
    const load = add(need.load, times(picture.limit(now), unseenShare * Math.min(picture.busy(now), mostUnseen)));
    // What waits elsewhere and is in the row goes before: those instances were first to tell.
    const wait = this.#holder.wait({ ...need, load, claim: nothing, caution: cautionFor(rivals) }, now);
    this.#untold += call.cost.points;
    const { comeBack: notBefore, waitsMs } = elsewhere ?? { comeBack: 0, waitsMs: millis(0) };
    const comeBack = millis(Math.max(announce(wait, call.within, this.#windowMs), notBefore));
    const supplyAt = now + Math.max(wait, comeBack + onTheWayMs);
    return { comeBack, place: { ...call, dueAt: now + comeBack, supplyAt, waitsMs } };
  }
}
