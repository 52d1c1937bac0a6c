import type { Amount } from '../domain/budget.ts';
import type { Turn } from '../policy/admission.ts';
import { marks } from '../policy/claims.ts';
import type { Release } from '../policy/lease.ts';
import { lateMs, stepMs, tagOf } from '../policy/promises.ts';
import type { ExpectedAt } from '../policy/promises.ts';
import { Backlog } from './backlog.ts';
import { Heap } from './heap.ts';

/** The place of a call that was refused and told when to come back. */
export interface Place {
  readonly server: string;
  readonly turn: Turn;
  readonly cost: Amount;
  /** When the caller was told to come, by the monotonic clock. */
  readonly dueAt: number;
  /** When there is supply for it, as it was reckoned then. */
  readonly supplyAt: number;
  /** From `dueAt` on the caller may wait at another vault first, for so long, in ms. */
  readonly waitsMs: number;
}

/**
 * `ahead` of its time; `due`: supply is held for it; `late`: nothing is held, but the caller still finds its place; `over`: taken or lost.
 */
interface Booking extends Place {
  /** What its server claimed before it, in points. */
  readonly claimed: number;
  /** What stands for it in the row. */
  readonly tag: string;
  state: 'ahead' | 'due' | 'late' | 'over';
}

/** A caller that is a little early is the one who was told to come. For one who is late nothing is held for long: it may be elsewhere. */
const earlyMs = 100;
const heldMs = 400;
const keptMs = 5000;

/** Who has supply so soon is no longer told of: it may come to any instance by now, and is counted where it comes. */
const toldMs = 1100;

/** Places are told by steps of the time of their supply, so many at most: some are told later, when they are nearer. */
const mostTold = 24;

/** So many callers are told of at most, the next ones, in so many steps: of a minute. */
const mostExpected = 600;
const mostComings = 120;

/**
 * Places kept for callers that were told to come back: so that the announced time is right, nobody who comes later may take what was
 * promised to them (B4). A caller is known by its server, whose calls of one cost are alike: any of them takes the server's place.
 */
export class Bookings {
  /** All places that are not late: what goes before a newcomer. */
  readonly counted = new Backlog();
  /** The places whose time has come: so much of a lease is not for others who come after them. */
  readonly due = new Backlog();
  readonly #most: number;
  readonly #mostPointsAServer: number;
  /** The places ahead of their time, by the beginning of the step in which there is supply for them. */
  readonly #steps = new Map<number, Backlog>();
  /** Places that are not over, by the beginning of the step in which their callers come. */
  readonly #comings = new Map<number, Set<Booking>>();
  readonly #ahead = new Heap<Booking>((a, b) => a.dueAt < b.dueAt);
  readonly #inTime = new Heap<Booking>((a, b) => heldUntil(a) < heldUntil(b));
  readonly #late = new Heap<Booking>((a, b) => a.dueAt < b.dueAt);
  readonly #byServer = new Map<string, { points: number; readonly list: Booking[] }>();
  #size = 0;

  /**
   * @param most places in all.
   * @param mostPointsAServer what the places of one server may add up to: one that asks without end only lengthens its own line, to a limit.
   */
  constructor(most: number, mostPointsAServer: number) {
    this.#most = most;
    this.#mostPointsAServer = mostPointsAServer;
  }

  /** Whether any place is kept that others must respect. */
  get any(): boolean {
    return this.counted.total.points > 0;
  }

  hasRoom(server: string): boolean {
    return this.#size < this.#most && this.pointsOf(server) < this.#mostPointsAServer;
  }

  /** What the places of one server add up to, in points. */
  pointsOf(server: string): number {
    return this.#byServer.get(server)?.points ?? 0;
  }

  /** @param waiting what waits of its server, in points. */
  book(place: Place, waiting: number): void {
    const claimed = waiting + this.pointsOf(place.server);
    const booking: Booking = { ...place, claimed, tag: tagOf(place.server, place.cost), state: 'ahead' };
    this.#size += 1;
    this.#ahead.push(booking);
    this.#coming(booking).add(booking);
    this.#step(booking).add(booking.turn, booking.cost, booking.claimed);
    this.counted.add(booking.turn, booking.cost, booking.claimed);
    const own = this.#byServer.get(booking.server) ?? { points: 0, list: [] };
    this.#byServer.set(booking.server, own);
    own.points += booking.cost.points;
    own.list.push(booking);
  }

  /** The turn of a caller that came back; its place is over by that. Undefined if its server has none whose time has come at this cost. */
  claim(server: string, cost: Amount, now: number): Turn | undefined {
    const booking = this.#byServer.get(server)?.list.find((own) => own.dueAt - earlyMs <= now && sameCost(own.cost, cost));
    if (booking !== undefined) this.#end(booking);
    return booking?.turn;
  }

  /**
   * Begins to hold supply for places whose time has come, and ceases to for those who do not come.
   * @returns the places that are lost: nobody came for them.
   */
  advance(now: number): readonly Place[] {
    for (const booking of takeUntil(this.#ahead, dueAt, now + earlyMs)) {
      this.#leaveStep(booking);
      booking.state = 'due';
      this.due.add(booking.turn, booking.cost, booking.claimed);
      this.#inTime.push(booking);
    }
    for (const booking of takeUntil(this.#inTime, heldUntil, now)) {
      this.#uncount(booking);
      booking.state = 'late';
      this.#late.push(booking);
    }
    const lost = takeUntil(this.#late, dueAt, now - keptMs);
    for (const booking of lost) this.#end(booking);
    return lost;
  }

  /** When {@link advance} must be called next. */
  nextAt(): number {
    const [ahead, inTime, late] = [this.#ahead.peek(), this.#inTime.peek(), this.#late.peek()];
    return Math.min(
      ahead === undefined ? Infinity : ahead.dueAt - earlyMs,
      inTime === undefined ? Infinity : heldUntil(inTime),
      late === undefined ? Infinity : late.dueAt + keptMs,
    );
  }

  /** The places ahead of their time that are kept from a call of this turn: by steps, earliest first. */
  ahead(turn: Turn): Release[] {
    const before = [...this.#steps].map(([at, step]) => ({ at, amount: step.keptFrom(turn) }));
    return before.filter(({ amount }) => amount.points > 0).sort((a, b) => a.at - b.at);
  }

  /** What the other instances are told, by steps, earliest first: the next of those places whose callers do not come yet. */
  told(now: number): Release[] {
    const later = [...this.#steps].filter(([at]) => at > now + toldMs).sort(([a], [b]) => a - b);
    return later.slice(0, mostTold).map(([at, step]) => ({ at, amount: step.claim }));
  }

  /**
   * Who comes back when, by steps, earliest first, for the other instances. Of a server that has many places only those up to the first mark
   * are told, and the callers of the others are newcomers elsewhere: one in a loop must not have places at all instances for each that it has at one.
   */
  expected(now: number): ExpectedAt[] {
    const steps = [...this.#comings].filter(([at]) => at + stepMs + lateMs > now).sort(([a], [b]) => a - b);
    const told: ExpectedAt[] = [];
    let room = mostExpected;
    for (const [at, comings] of steps.slice(0, mostComings)) {
      const few = [...comings].filter(({ claimed }) => claimed < marks[0]).slice(0, room);
      if (few.length > 0) told.push({ at, tags: few.map(({ tag }) => tag).join('') });
      room -= few.length;
    }
    return told;
  }

  #coming({ dueAt }: Booking): Set<Booking> {
    return atStep(this.#comings, dueAt, () => new Set());
  }

  #comes(booking: Booking): void {
    const coming = this.#coming(booking);
    coming.delete(booking);
    if (coming.size === 0) this.#comings.delete(stepOf(booking.dueAt));
  }

  #step({ supplyAt }: Booking): Backlog {
    return atStep(this.#steps, supplyAt, () => new Backlog());
  }

  #leaveStep(booking: Booking): void {
    const step = this.#step(booking);
    step.remove(booking.turn, booking.cost, booking.claimed);
    if (step.total.points === 0) this.#steps.delete(stepOf(booking.supplyAt));
  }

  #uncount(booking: Booking): void {
    const { state, turn, cost, claimed } = booking;
    if (state === 'late' || state === 'over') return;
    this.counted.remove(turn, cost, claimed);
    if (state === 'ahead') this.#leaveStep(booking);
    else this.due.remove(turn, cost, claimed);
  }

  #end(booking: Booking): void {
    this.#uncount(booking);
    booking.state = 'over';
    this.#comes(booking);
    this.#size -= 1;
    const own = this.#byServer.get(booking.server);
    if (own === undefined) return;
    own.points -= booking.cost.points;
    own.list.splice(own.list.indexOf(booking), 1);
    if (own.list.length === 0) this.#byServer.delete(booking.server);
  }
}

/** What is kept of the step of a moment; made where there is none yet. */
function atStep<T>(steps: Map<number, T>, moment: number, make: () => T): T {
  const at = stepOf(moment);
  const known = steps.get(at) ?? make();
  steps.set(at, known);
  return known;
}

/** When the step of a moment begins. */
function stepOf(at: number): number {
  return Math.floor(at / stepMs) * stepMs;
}

function sameCost(a: Amount, b: Amount): boolean {
  return a.points === b.points && a.service === b.service;
}

function dueAt(booking: Booking): number {
  return booking.dueAt;
}

/** Until when supply is held for it. */
function heldUntil(booking: Booking): number {
  return booking.dueAt + booking.waitsMs + heldMs;
}

/** Takes out what comes by `limit`, without what is over already. */
function takeUntil(heap: Heap<Booking>, comes: (booking: Booking) => number, limit: number): Booking[] {
  const taken: Booking[] = [];
  for (let first = heap.peek(); first !== undefined && comes(first) <= limit; first = heap.peek()) {
    heap.pop();
    if (first.state !== 'over') taken.push(first);
  }
  return taken;
}
