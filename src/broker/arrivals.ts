import type { Amount } from '../domain/budget.ts';
import { rankOf, slowestPace } from '../policy/admission.ts';
import type { AdmissionRequest } from '../ports/admission.ts';
import type { Bookings } from './bookings.ts';
import type { Lines } from './lines.ts';
import type { PlacesElsewhere } from './places-elsewhere.ts';
import type { Call } from './waiting-calls.ts';

/** Who comes: a newcomer, or one who was told to come back, here or by another instance (B4). */
export class Arrivals {
  readonly #lines: Lines;
  readonly #bookings: Bookings;
  readonly #elsewhere: PlacesElsewhere;
  readonly #windowMs: number;

  constructor(lines: Lines, bookings: Bookings, elsewhere: PlacesElsewhere, windowMs: number) {
    this.#lines = lines;
    this.#bookings = bookings;
    this.#elsewhere = elsewhere;
    this.#windowMs = windowMs;
  }

  /** A call with the place that was kept for it, which is over by that; or a newcomer. */
  callOf(request: AdmissionRequest, cost: Amount, now: number): Call {
    const { server, within } = request;
    const turn = this.#bookings.claim(server, cost, now);
    if (turn !== undefined) return { server, turn, cost, within, booked: true };
    const call = this.newcomer(request, cost, now);
    const expected = this.expectedElsewhere(call, now);
    if (expected !== undefined) this.#lines.join(server, call.turn.start, cost.points, now);
    return expected ?? call;
  }

  newcomer({ server, within, class: of, tier }: AdmissionRequest, cost: Amount, now: number): Call {
    return {
      server,
      turn: this.#lines.turn(this.#lines.startFor(server, now), rankOf(of, tier), now + within),
      cost,
      within,
      booked: false,
    };
  }

  /**
   * The same call with the place that another instance keeps for it; undefined if none does. Where its line began is known there alone: it
   * starts as if it had come a window ago at the slowest pace.
   */
  expectedElsewhere<C extends Call>(call: C, now: number): C | undefined {
    if (call.booked || !this.#elsewhere.take(call.server, call.cost, now)) return undefined;
    const { start, rank, deadline } = call.turn;
    return { ...call, turn: this.#lines.turn(start - slowestPace * this.#windowMs, rank, deadline), booked: true };
  }
}
