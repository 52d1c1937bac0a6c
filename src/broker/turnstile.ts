import { add, fits, less, nothing } from '../domain/budget.ts';
import type { Amount, BudgetRow } from '../domain/budget.ts';
import type { Millis } from '../domain/time.ts';
import { order, rankOf } from '../policy/admission.ts';
import type { Demand } from '../policy/draw.ts';
import { announce, marginMs, promised } from '../policy/forecast.ts';
import type { AdmissionRequest } from '../ports/admission.ts';
import type { Clock } from '../ports/clock.ts';
import { Alarm } from './alarm.ts';
import { Bookings } from './bookings.ts';
import { DrawPace } from './draw-pace.ts';
import type { Drawn, LeaseHolder } from './lease-holder.ts';
import { Lines } from './lines.ts';
import { WaitingCalls } from './waiting-calls.ts';
import type { Call, WaitingCall } from './waiting-calls.ts';

export interface TurnstileSettings {
  readonly windowMs: number;
  readonly leaseMs: number;
  /** Calls that may wait at once. */
  readonly queueLength: number;
  /** What one server's bookings may add up to, in points. */
  readonly bookedPointsAServer: number;
}

/** What a call costs, and the name of its key shape. */
export interface Fare {
  readonly cost: Amount;
  readonly shape: string;
}

/** Where calls for one purse of one vault go through, or wait (B4). */
export class Turnstile {
  readonly #holder: LeaseHolder;
  readonly #clock: Clock;
  readonly #settings: TurnstileSettings;
  readonly #pace: DrawPace;
  readonly #alarm: Alarm;
  readonly #lines: Lines;
  readonly #bookings: Bookings;
  readonly #queue = new WaitingCalls();
  #drawAt = 0;
  /** Calls that wait were let in without an estimate that holds. */
  #supplyUnknown = true;
  #lastCost: Amount = nothing;

  constructor(holder: LeaseHolder, clock: Clock, settings: TurnstileSettings) {
    this.#holder = holder;
    this.#clock = clock;
    this.#settings = settings;
    this.#pace = new DrawPace(clock, settings.leaseMs);
    this.#alarm = new Alarm(clock, () => this.wake());
    this.#lines = new Lines(settings.windowMs);
    this.#bookings = new Bookings(settings.queueLength, settings.bookedPointsAServer);
  }

  /** Lets a call through if it need not wait, and nobody is passed by that. */
  tryNow(request: AdmissionRequest, fare: Fare, now: number): boolean {
    if (this.#queue.size > 0 || this.#bookings.any) return false;
    if (!this.#holder.take(fare.cost, fare.shape, now)) return false;
    const start = this.#lines.startFor(request.server, now);
    this.#lines.join(request.server, start, fare.cost.points, now);
    this.#lines.served(start);
    this.#lastCost = fare.cost;
    if (now >= this.#drawAt && this.#holder.renewalDue(now)) this.#draw(now, fare.cost);
    return true;
  }

  /** As `Admission.admit` answers. */
  ask(request: AdmissionRequest, fare: Fare, now: number): undefined | Millis | Promise<undefined | Millis> {
    if (this.tryNow(request, fare, now)) return undefined;
    this.#lastCost = fare.cost;
    this.#advanceBookings(now);
    const call = this.#callOf(request, fare.cost, now);
    if (this.#mayPass(call, now) && this.#holder.take(fare.cost, fare.shape, now)) {
      this.#join(call, now);
      this.#lines.served(call.turn.start);
      this.#next(now);
      return undefined;
    }
    const claim = add(this.#demand().claim, fare.cost);
    const wait = this.#holder.wait(this.#loadOf(call, now), claim, now);
    // One that came back as told is not sent away again: what the estimate counts before it came after it.
    const tooLate = !call.booked && wait > 0 && wait + marginMs > request.within;
    if (tooLate || this.#queue.size >= this.#settings.queueLength) return this.#refuse(call, claim, now);
    this.#join(call, now);
    const waiting = { ...call, until: now + request.within, shape: fare.shape };
    const answered = new Promise<undefined | Millis>((answer) => this.#queue.push({ ...waiting, answer }));
    this.#next(now);
    return answered;
  }

  /** The vault answered 429: nothing more is let through until the row says so (F7). */
  halt(): void {
    this.#holder.drop();
    this.#drawAt = Infinity;
    this.#supplyUnknown = true;
  }

  /** The row says how long the vault is left alone. */
  resume(row: BudgetRow): void {
    this.#holder.drop();
    this.#holder.look(row);
    this.#drew('dry');
  }

  /** Takes up what changed: a release, a deadline, a booking, a lapsed lease. */
  wake(): void {
    const now = this.#clock.elapsed();
    this.#advanceBookings(now);
    this.#serve(now);
    if (now >= this.#queue.firstDeadline) this.#sendAway(this.#queue.takeExpired(now), now);
    this.#next(now);
  }

  #advanceBookings(now: number): void {
    for (const { server, cost } of this.#bookings.advance(now)) this.#lines.leave(server, cost.points);
  }

  #callOf(request: AdmissionRequest, cost: Amount, now: number): Call {
    const { server, within } = request;
    const kept = this.#bookings.claim(server, cost, now);
    if (kept !== undefined) return { server, turn: kept, cost, within, booked: true };
    const start = this.#lines.startFor(server, now);
    return { server, turn: this.#lines.turn(start, rankOf(request.class, request.tier), now + within), cost, within, booked: false };
  }

  /** Whether a call that comes now passes nobody: neither one in the queue, nor one for whom supply is held. */
  #mayPass(call: Call, now: number): boolean {
    const first = this.#queue.first();
    return (first === undefined || order(call.turn, first.turn) < 0) && this.#sparesBooked(call, now);
  }

  #sparesBooked({ turn, cost, booked }: Call, now: number): boolean {
    return booked || fits(add(this.#bookings.due.ahead(turn), cost), this.#holder.left(now));
  }

  /** A call whose place was kept is in its server's line already. */
  #join({ server, turn, cost, booked }: Call, now: number): void {
    if (!booked) this.#lines.join(server, turn.start, cost.points, now);
  }

  /** What is served until a call is, itself included. */
  #loadOf({ turn, cost, booked }: Call, now: number): Amount {
    const before = add(this.#queue.ahead(turn), this.#bookings.counted.ahead(turn));
    // Where there are other instances, those whose time has come may be there, and this one may have been told by another to come now.
    const elsewhere = !booked && this.#holder.picture.rivals(now) > 0 ? this.#bookings.due.ahead(turn) : nothing;
    return add(less(before, elsewhere), cost);
  }

  /** @param claim all that this instance has to get, `call` included. */
  #refuse(call: Call, claim: Amount, now: number): Millis {
    const load = promised(this.#loadOf(call, now), this.#holder.picture.rivals(now));
    const comeBack = announce(this.#holder.wait(load, claim, now), call.within, this.#settings.windowMs);
    if (this.#bookings.hasRoom(call.server)) {
      this.#join(call, now);
      this.#bookings.book({ ...call, dueAt: now + comeBack });
    }
    this.#arm(now);
    return comeBack;
  }

  #serve(now: number): void {
    for (let first = this.#queue.first(); first !== undefined; first = this.#queue.first()) {
      if (first.until <= now) this.#sendAway(this.#queue.takeExpired(now), now);
      else if (this.#sparesBooked(first, now) && this.#holder.take(first.cost, first.shape, now)) {
        this.#queue.pop();
        this.#lines.served(first.turn.start);
        first.answer(undefined);
      } else return;
    }
  }

  /** Supply is known for the first time, or was lowered: refuses at once what cannot be served in time. */
  #refuseHopeless(now: number): void {
    const { claim } = this.#demand();
    const startAt = (load: Amount): number => now + this.#holder.wait(load, claim, now) + marginMs;
    this.#sendAway(this.#queue.takeHopeless(startAt), now);
  }

  /** Refuses calls that waited. They are in their servers' lines already, and no call of another instance is among them. */
  #sendAway(calls: readonly WaitingCall[], now: number): void {
    // All of them are still to be served: whoever is sent away first is not told to wait for the others.
    const claim = calls.reduce((sum, { cost }) => add(sum, cost), this.#demand().claim);
    for (const waited of calls) {
      const call = { ...waited, booked: true };
      waited.answer(this.#refuse(call, claim, now));
    }
  }

  /** Draws for those who wait or gives back what nobody needs, if it is time, and sets the alarm. */
  #next(now: number): void {
    const first = this.#queue.first();
    if (first !== undefined && this.#holder.cutAwayLease(first.cost, now)) this.#serve(now);
    const mayDraw = !this.#holder.drawing && now >= this.#drawAt;
    if (mayDraw && this.#lacksSupply(now)) this.#draw(now, this.#lastCost);
    else if (mayDraw && (now >= this.#holder.returnsAt(now) || this.#holder.owesReport(now))) this.#draw(now, nothing);
    else this.#arm(now);
  }

  #lacksSupply(now: number): boolean {
    return this.#queue.size > 0 || !fits(this.#bookings.due.total, this.#holder.left(now));
  }

  /** @param forCalls cost of the calls to come if none waits; nothing: only to tell the row what was spent. */
  #draw(now: number, forCalls: Amount): void {
    void this.#holder.draw(this.#demand(), this.#queue.first()?.cost ?? forCalls).then((drawn) => this.#drew(drawn));
    this.#arm(now);
  }

  #demand(): Demand {
    const queued = this.#queue.total;
    return {
      waiting: add(queued, this.#bookings.due.total),
      claim: add(queued, this.#bookings.counted.total),
      announced: add(queued, this.#bookings.claimed.total),
    };
  }

  #drew(drawn: Drawn): void {
    const now = this.#clock.elapsed();
    this.#drawAt = now + this.#pace.after(drawn, this.#holder, this.#demand());
    if (this.#supplyUnknown && this.#holder.picture.view !== null) {
      this.#supplyUnknown = false;
      this.#serve(now);
      this.#refuseHopeless(now);
    }
    this.wake();
  }

  /** Sets the one timer to the next moment at which anything is to be done; none is set when idle. */
  #arm(now: number): void {
    let at = Math.min(this.#queue.firstDeadline, this.#bookings.nextAt());
    if (this.#queue.size > 0) at = Math.min(at, this.#holder.nextAwayLease(now));
    if (!this.#holder.drawing) {
      const reports = this.#holder.owesReport(now) ? this.#drawAt : this.#holder.returnsAt(now);
      at = Math.min(at, this.#lacksSupply(now) ? this.#drawAt : Math.max(reports, this.#drawAt));
    }
    this.#alarm.setFor(at, now);
  }
}
