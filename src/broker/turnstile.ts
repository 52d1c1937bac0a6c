import { add, fits, nothing } from '../domain/budget.ts';
import type { Amount, BudgetRow } from '../domain/budget.ts';
import type { Millis } from '../domain/time.ts';
import { order } from '../policy/admission.ts';
import type { Demand } from '../policy/draw.ts';
import { earlyBy, marginMs } from '../policy/forecast.ts';
import type { AdmissionRequest } from '../ports/admission.ts';
import type { Clock } from '../ports/clock.ts';
import { Alarm } from './alarm.ts';
import { Announcements } from './announcements.ts';
import type { ToldElsewhere } from './announcements.ts';
import { Arrivals } from './arrivals.ts';
import { Bookings } from './bookings.ts';
import { DrawPace } from './draw-pace.ts';
import type { Drawn, LeaseHolder } from './lease-holder.ts';
import { Lines } from './lines.ts';
import { WaitingCalls } from './waiting-calls.ts';
import type { Call, Fare, WaitingCall } from './waiting-calls.ts';

export interface TurnstileSettings {
  readonly windowMs: number;
  readonly leaseMs: number;
  /** Calls that may wait at once. */
  readonly queueLength: number;
  /** What one server's bookings may add up to, in points. */
  readonly bookedPointsAServer: number;
}

/** Calls whose claim is not in the row yet wait for the next draw so long at most, as a share of a lease's life. */
const soonShare = 0.1;

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
  readonly #announcements: Announcements;
  readonly #arrivals: Arrivals;
  /** Who came after this was let in by what was known before the row told of its claim. */
  #judgedAt = -Infinity;
  #lastCost: Amount = nothing;

  constructor(holder: LeaseHolder, clock: Clock, settings: TurnstileSettings) {
    this.#holder = holder;
    this.#clock = clock;
    this.#settings = settings;
    this.#pace = new DrawPace(clock, settings.leaseMs);
    this.#alarm = new Alarm(clock, () => this.wake());
    this.#lines = new Lines(settings.windowMs);
    this.#bookings = new Bookings(settings.queueLength, settings.bookedPointsAServer);
    this.#arrivals = new Arrivals(this.#lines, this.#bookings, holder.picture.elsewhere, settings.windowMs);
    this.#announcements = new Announcements(holder, this.#queue, this.#bookings, settings.windowMs);
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
    const call = this.#arrivals.callOf(request, fare.cost, now);
    if (this.#mayPass(call, now) && this.#holder.take(fare.cost, fare.shape, now)) {
      this.#join(call, now);
      this.#lines.served(call.turn.start);
      this.#next(now);
      return undefined;
    }
    const wait = this.#holder.wait(this.#announcements.needOf(call, now), now);
    // One that came back as told is not sent away again: what the estimate counts before it came after it.
    const tooLate = !call.booked && wait > 0 && wait + marginMs > request.within;
    const atOnce = tooLate && this.#announcements.mayAnnounce(fare.cost, now);
    if (atOnce || this.#queue.size >= this.#settings.queueLength) return this.#refuse(call, now);
    this.#join(call, now);
    const unsureAt = call.booked || this.#announcements.mayBeExpected(now) ? -Infinity : now;
    const waiting = { ...call, unsureAt, until: now + request.within, shape: fare.shape };
    const answered = new Promise<undefined | Millis>((answer) => this.#queue.push({ ...waiting, answer }));
    this.#next(now);
    return answered;
  }

  /** As `Admission.keep`. */
  keep(request: AdmissionRequest, { cost }: Fare, comeBack: Millis): Millis {
    const now = this.#clock.elapsed();
    this.#advanceBookings(now);
    return this.#refuse(this.#arrivals.newcomer(request, cost, now), now, { comeBack, waitsMs: earlyBy(request.within) });
  }

  /** The vault answered 429: nothing more is let through until the row says so (F7). */
  halt(): void {
    this.#holder.drop();
    this.#drawAt = Infinity;
    this.#judgedAt = -Infinity;
  }

  /** It is known how long the vault is left alone. @param row what the store has of it; null: it is away. */
  resume(row: BudgetRow | null): void {
    this.#holder.drop();
    if (row !== null) this.#holder.look(row);
    this.#drew('dry', { at: this.#clock.elapsed(), points: 0 });
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

  /** @param elsewhere what the caller was told by another vault. */
  #refuse(call: Call, now: number, elsewhere?: ToldElsewhere): Millis {
    const { comeBack, place } = this.#announcements.placeFor(call, now, elsewhere);
    if (this.#bookings.hasRoom(call.server)) {
      this.#join(call, now);
      this.#bookings.book(place, this.#queue.pointsOf(call.server));
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

  /** Refuses those who cannot be served in time, as the row says now that it tells of all claims up to `toldAt`. */
  #refuseHopeless(now: number, toldAt: number): void {
    const { claim } = this.#queue;
    const startAt = (load: Amount, server: string): number => {
      const mark = this.#announcements.markOf(server, nothing);
      return now + this.#holder.wait({ load, promised: [], claim, mark, caution: 1 }, now) + marginMs;
    };
    const hopeless = this.#queue.takeHopeless(startAt, { from: this.#judgedAt, to: toldAt });
    this.#judgedAt = toldAt;
    this.#sendAway(
      hopeless.filter((call) => !this.#putForward(call, now)),
      now,
    );
  }

  /** Puts a call back into the queue, in the place that another instance keeps for it, if the row as it is now tells of one. */
  #putForward(call: WaitingCall, now: number): boolean {
    const expected = this.#arrivals.expectedElsewhere(call, now);
    if (expected !== undefined) this.#queue.push({ ...expected, unsureAt: -Infinity });
    return expected !== undefined;
  }

  /** Refuses calls that waited. They are in their servers' lines already. */
  #sendAway(calls: readonly WaitingCall[], now: number): void {
    for (const call of calls) call.answer(this.#refuse({ ...call, booked: true }, now));
  }

  /** Draws for those who wait or gives back what nobody needs, if it is time, and sets the alarm. */
  #next(now: number): void {
    const first = this.#queue.first();
    if (first !== undefined && this.#holder.cutAwayLease(first.cost, now)) this.#serve(now);
    const mayDraw = !this.#holder.drawing && now >= this.#drawAt;
    if (mayDraw && this.#lacksSupply(now)) this.#draw(now, this.#lastCost);
    else if (mayDraw && now >= this.#tellsAt(now)) this.#draw(now, nothing);
    else this.#arm(now);
  }

  /** When the row is to be told something although no lease is wanted. */
  #tellsAt(now: number): number {
    return this.#holder.owesReport(now) || this.#announcements.owes(this.#lastCost, now) ? this.#drawAt : this.#holder.returnsAt(now);
  }

  #lacksSupply(now: number): boolean {
    return this.#queue.size > 0 || !fits(this.#bookings.due.total, this.#holder.left(now));
  }

  /** @param forCalls cost of the calls to come if none waits; nothing: only to tell the row what was spent. */
  #draw(now: number, forCalls: Amount): void {
    let told = { at: now, points: 0 };
    const demand = (): Demand => {
      told = { at: this.#clock.elapsed(), points: this.#announcements.untold };
      return this.#announcements.demand(told.at);
    };
    void this.#holder.draw(demand, this.#queue.first()?.cost ?? forCalls).then((drawn) => this.#drew(drawn, told));
    this.#arm(now);
  }

  /** @param told up to when the draw told the row who waits, and how many points of what was announced. */
  #drew(drawn: Drawn, told: { readonly at: number; readonly points: number }): void {
    const now = this.#clock.elapsed();
    if (drawn !== 'lost' && this.#holder.picture.view !== null) {
      // A draw that is not written had little to tell. With the store away nobody knows what was announced: it is told when it is back.
      if (drawn !== 'away') this.#announcements.told(told.points);
      this.#serve(now);
      this.#refuseHopeless(now, told.at);
    }
    this.#drawAt = now + this.#pace.after(drawn, this.#holder, this.#announcements.demand(now));
    // Who came meanwhile is to know soon.
    if (drawn === 'dry' && this.#queue.newestAt > told.at) this.#drawAt = Math.min(this.#drawAt, now + this.#settings.leaseMs * soonShare);
    this.wake();
  }

  /** Sets the one timer to the next moment at which anything is to be done; none is set when idle. */
  #arm(now: number): void {
    let at = Math.min(this.#queue.firstDeadline, this.#bookings.nextAt());
    if (this.#queue.size > 0) at = Math.min(at, this.#holder.nextAwayLease(now));
    if (!this.#holder.drawing) {
      at = Math.min(at, this.#lacksSupply(now) ? this.#drawAt : Math.max(this.#tellsAt(now), this.#drawAt));
    }
    this.#alarm.setFor(at, now);
  }
}
