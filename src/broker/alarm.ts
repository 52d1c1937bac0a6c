import { millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';

/** One timer: the earliest moment asked for wins; then it is silent until it is set again. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #set: { readonly at: number; readonly bell: AbortController } | null = null;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** @param at monotonic milliseconds; Infinity sets nothing. A moment that is past rings in a millisecond. */
  setFor(at: number, now: number): void {
    if (at === Infinity || (this.#set !== null && this.#set.at <= at)) return;
    this.#set?.bell.abort();
    const set = { at, bell: new AbortController() };
    this.#set = set;
    void this.#clock.pause(millis(Math.max(1, at - now)), set.bell.signal).then(() => {
      if (this.#set !== set) return;
      this.#set = null;
      this.#ring();
    });
  }
}
