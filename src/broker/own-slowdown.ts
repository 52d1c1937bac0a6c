import type { Slowdown } from '../domain/budget.ts';
import type { Dated, Moment } from '../policy/lease.ts';
import { isSlowed, joined, throttledAt } from '../policy/slowdown.ts';

/** A 429 that this instance met, until the row of the vault tells of it (F7): also with the store away, and whatever is read meanwhile. */
export class OwnSlowdown {
  readonly #instance: string;
  #own: Dated<Slowdown> | null = null;

  /** @param instance name of this instance in the row. */
  constructor(instance: string) {
    this.#instance = instance;
  }

  /** Whether the row does not tell yet of what this instance met. */
  get untold(): boolean {
    return this.#own !== null;
  }

  /**
   * The vault answered 429.
   * @returns what that makes of the slowdown that is `known`; null where it changes nothing.
   */
  met(known: Dated<Slowdown> | null, at: Moment): Dated<Slowdown> | null {
    const next = throttledAt(known, at, this.#instance);
    this.#own = next ?? this.#own;
    return next;
  }

  /** What a row tells, and what this instance met beside it. Forgotten once the row tells of it, or the budget is whole again. */
  beside(told: Dated<Slowdown> | null, elapsed: number): Dated<Slowdown> | null {
    if (this.#own === null) return told;
    const all = isSlowed({ slowdown: this.#own }, elapsed) ? joined(told, this.#own) : told;
    this.#own = all === told ? null : all;
    return all;
  }
}
