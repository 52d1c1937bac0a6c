import { sumOf, times } from '../domain/budget.ts';
import type { Amount, Spent } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Release } from '../policy/lease.ts';
import { namesBoth, serviceCost, shapesIn } from '../policy/rate.ts';
import type { RateRules } from '../policy/rate.ts';

/** Calls of one key shape and cost in one step. */
interface Calls {
  readonly cost: Amount;
  readonly shape: string;
  count: number;
}

interface Step {
  readonly first: number;
  last: number;
  readonly away: boolean;
  readonly calls: Calls[];
}

const none: readonly string[] = [];

/** No call ends later than so many attempts after it was let through. */
export const longestAttempts = 3;

/** Steps of the log as a share of the window: what lies in one step counts as spent at its end, which wastes half a step at most. */
const stepsInWindow = 40;

/**
 * What one instance spent of a purse in the last window. The truth of which the row is a copy. Times by the monotonic clock.
 *
 * A call reaches the vault at some time between the moment at which it was let through and its end. So it counts from its end; while it is
 * under way, from the latest moment at which it can end. Of equal calls the one that was let through first is taken to end first: the times
 * that count are the same, or later, whichever it was.
 */
export class Spending {
  /** Calls that are under way, by when they were let through. */
  #underWay: Step[] = [];
  /** Calls that have ended, by when they did. */
  #ended: Step[] = [];
  readonly #rules: RateRules;

  constructor(rules: RateRules) {
    this.#rules = rules;
  }

  /**
   * A call is let through; or two that were admitted as one, of which each ends for itself.
   * @param away whether without a lease, while the store was away.
   */
  record(cost: Amount, shape: string, now: number, away: boolean): void {
    const step = this.#stepAt(this.#underWay, now, away);
    const halves = namesBoth(shape) ? shapesIn(shape) : none;
    for (const half of halves) count({ points: cost.points / 2, service: serviceCost(half, this.#rules) }, half, step);
    if (halves.length === 0) count(cost, shape, step);
  }

  /** When the first of the equal calls that are under way was let through, or those of its step; Infinity if none is. */
  underWaySince(cost: Amount, shape: string): number {
    return this.#firstUnderWay(cost, shape)?.first ?? Infinity;
  }

  /** A call has ended. Nothing happens where none like it is under way. */
  ended(cost: Amount, shape: string, now: number): void {
    const step = this.#firstUnderWay(cost, shape);
    const calls = step && callsOf(cost, shape, step);
    if (step === undefined || calls === undefined) return;
    calls.count -= 1;
    count(cost, shape, this.#stepAt(this.#ended, now, step.away));
    // The newest is kept: the next call is likely to be of its time.
    while (this.#underWay.length > 1 && this.#underWay[0] !== undefined && isEmpty(this.#underWay[0])) this.#underWay.shift();
  }

  /** Forgets what left the window. */
  prune(now: number): void {
    const kept = now - this.#rules.windowMs;
    this.#ended = this.#ended.filter((step) => step.last > kept);
    this.#underWay = this.#underWay.filter((step) => this.#endsBy(step) > kept && !isEmpty(step));
  }

  /** What counts as spent after `since`, at most a window ago. */
  sum(since: number, which: 'all' | 'away' | 'leased' = 'all'): Amount {
    const counts = (step: Step): boolean => which === 'all' || step.away === (which === 'away');
    const underWay = this.#underWay.filter((step) => counts(step) && this.#endsBy(step) > since);
    return costOf([...underWay, ...this.#ended.filter((step) => counts(step) && step.last > since)]);
  }

  /** What was let through, or ended, after `since`. */
  recent(since: number): Amount {
    return costOf([...this.#underWay, ...this.#ended].filter((step) => step.last > since));
  }

  /**
   * What may be under way at `now`. The wrap half of a rewrap leaves when its unwrap has ended, and a standby is asked for after its gate:
   * either may end later than an attempt after it was let through. After three nothing more is to be heard.
   */
  underWay(now: number): Amount {
    return costOf(this.#underWay.filter((step) => step.last + longestAttempts * this.#rules.attemptMs > now));
  }

  releases(): Release[] {
    const { attemptMs: lastsMs, windowMs } = this.#rules;
    const underWay = this.#underWay.map((step) => ({ at: this.#endsBy(step) + windowMs, amount: costOf([step]), lastsMs }));
    return [...underWay, ...this.#ended.map((step) => ({ at: step.last + windowMs, amount: costOf([step]) }))];
  }

  /** As the row has it. `agoMs` is rounded down: what is older than said is counted too long, never too short. */
  spent(now: number): Spent[] {
    const spentAt = (step: Step, at: number): Spent => {
      const operations: Record<string, number> = {};
      for (const { shape, count: calls } of step.calls) if (calls > 0) operations[shape] = (operations[shape] ?? 0) + calls;
      return { agoMs: millis(Math.floor(now - at)), ...costOf([step]), operations };
    };
    const underWay = this.#underWay.filter((step) => !isEmpty(step)).map((step) => spentAt(step, this.#endsBy(step)));
    return [...this.#ended.map((step) => spentAt(step, step.last)), ...underWay];
  }

  #endsBy(step: Step): number {
    return step.last + this.#rules.attemptMs;
  }

  #firstUnderWay(cost: Amount, shape: string): Step | undefined {
    for (const step of this.#underWay) if ((callsOf(cost, shape, step)?.count ?? 0) > 0) return step;
    return undefined;
  }

  /** The step of now, of calls with a lease or without: a new one where there is none. */
  #stepAt(steps: Step[], now: number, away: boolean): Step {
    for (let i = steps.length - 1; i >= 0; i -= 1) {
      const step = steps[i];
      if (step === undefined || now - step.first >= this.#rules.windowMs / stepsInWindow) break;
      if (step.away !== away) continue;
      step.last = now;
      return step;
    }
    const step: Step = { first: now, last: now, away, calls: [] };
    steps.push(step);
    return step;
  }
}

/** Goes with every call: it makes no object. */
function callsOf(cost: Amount, shape: string, step: Step): Calls | undefined {
  for (const calls of step.calls) if (calls.shape === shape && calls.cost.points === cost.points) return calls;
  return undefined;
}

function count(cost: Amount, shape: string, step: Step): void {
  const calls = callsOf(cost, shape, step);
  if (calls === undefined) step.calls.push({ cost, shape, count: 1 });
  else calls.count += 1;
}

function isEmpty({ calls }: Step): boolean {
  for (const { count: left } of calls) if (left > 0) return false;
  return true;
}

function costOf(steps: readonly Step[]): Amount {
  return sumOf(steps.flatMap(({ calls }) => calls.map((one) => times(one.cost, one.count))));
}
