import type { Amount, Spent } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Release } from '../policy/lease.ts';

interface Step {
  readonly first: number;
  last: number;
  points: number;
  service: number;
  readonly away: boolean;
  readonly operations: Record<string, number>;
}

/** Steps of the log as a share of the window: what lies in one step counts as spent at its end, which wastes half a step at most. */
const stepsInWindow = 40;

/** What one instance spent of a purse in the last window. The truth of which the row is a copy. Times by the monotonic clock. */
export class Spending {
  #steps: Step[] = [];
  readonly #windowMs: number;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** @param away whether it was spent without a lease, while the store was away. */
  record(cost: Amount, shape: string, now: number, away: boolean): void {
    let step = this.#steps[this.#steps.length - 1];
    if (step?.away !== away || now - step.first >= this.#windowMs / stepsInWindow) {
      step = { first: now, last: now, points: 0, service: 0, away, operations: {} };
      this.#steps.push(step);
    }
    step.last = now;
    step.points += cost.points;
    step.service += cost.service;
    step.operations[shape] = (step.operations[shape] ?? 0) + 1;
  }

  /** Forgets what left the window. */
  prune(now: number): void {
    const firstKept = this.#steps.findIndex((step) => step.last + this.#windowMs > now);
    if (firstKept !== 0) this.#steps = firstKept < 0 ? [] : this.#steps.slice(firstKept);
  }

  /** What was spent after `since`, at most a window ago. */
  sum(since: number, which: 'all' | 'away' | 'leased' = 'all'): Amount {
    let points = 0;
    let service = 0;
    for (const step of this.#steps) {
      if (step.last <= since || (which !== 'all' && step.away !== (which === 'away'))) continue;
      points += step.points;
      service += step.service;
    }
    return { points, service };
  }

  releases(): Release[] {
    return this.#steps.map((step) => ({ at: step.last + this.#windowMs, amount: step }));
  }

  /** As the row has it. `agoMs` is rounded down: what is older than said is counted too long, never too short. */
  spent(now: number): Spent[] {
    return this.#steps.map((step) => ({
      agoMs: millis(Math.floor(now - step.last)),
      points: step.points,
      service: step.service,
      operations: { ...step.operations },
    }));
  }
}
