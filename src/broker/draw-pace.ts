import type { Claim } from '../domain/budget.ts';
import { partTo } from '../policy/claims.ts';
import type { Demand } from '../policy/draw.ts';
import type { Clock } from '../ports/clock.ts';
import type { Drawn, LeaseHolder } from './lease-holder.ts';

/** Pauses between draws: never shorter than this; spread over no more than that; doubled so often while others keep winning. */
const shortestPauseMs = 10;
const longestSpreadMs = 400;
const lostDoublings = 4;

/** Who waits for more than this mark asks for much. */
const greedyMark = 0;

/** Whether most of what waits is of servers that ask for much: then an instance lets the others draw before it draws again. */
function isGreedy(waiting: Claim): boolean {
  return partTo(waiting, greedyMark).points < waiting.points / 2;
}

/** When to draw next, so that instances that wait for the same row do not keep writing at the same moment. */
export class DrawPace {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #losses = 0;

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** How long to wait after a draw that came to this, in ms. */
  after(drawn: Drawn, holder: LeaseHolder, demand: Demand): number {
    this.#losses = drawn === 'lost' ? this.#losses + 1 : 0;
    const now = this.#clock.elapsed();
    switch (drawn) {
      case 'leased':
        return isGreedy(demand.waiting) && holder.picture.rivals(now) > 0
          ? this.#leaseMs / 3 + this.#spread(1, holder, now)
          : shortestPauseMs;
      case 'given back':
        return shortestPauseMs;
      case 'lost':
        return this.#spread(2 ** Math.min(this.#losses, lostDoublings), holder, now);
      case 'dry':
        // Others may give back a lease before it lapses.
        return Math.min(holder.untilFree(demand, now), this.#leaseMs / 3) + this.#spread(1, holder, now);
      case 'away':
        return this.#leaseMs * (0.75 + this.#chance() / 2);
    }
  }

  /** A random pause in which so many of the instances that wait find time to write one after the other. */
  #spread(rounds: number, holder: LeaseHolder, now: number): number {
    const turns = Math.max(rounds, holder.picture.rivals(now) / 2);
    return shortestPauseMs + this.#chance() * Math.min(holder.roundTripMs * turns, longestSpreadMs);
  }

  /** A random number from 0 up to 1. */
  #chance(): number {
    return (this.#clock.randomBytes(1)[0] ?? 0) / 256;
  }
}
