import { times } from '../domain/budget.ts';
import type { Amount, BudgetRow, Slowdown } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { agedBy } from './lease.ts';
import type { Dated, Moment, RowView } from './lease.ts';

/** Back-off by step, in ms: the service sends no Retry-After, and its documentation asks for this row (F7). */
const backOffMs = [1000, 2000, 4000, 8000, 16_000] as const;
const lastStep = backOffMs.length - 1;

/** Each 429 after a back-off halves the budget; it comes back by a twentieth of the whole a second. */
const cut = 0.5;
const smallestFactor = 1 / 16;
const regainPerMs = 0.05 / 1000;

/** How long a vault is left alone after the 429 of this step. */
export function backOff(step: number): Millis {
  return millis(backOffMs[Math.min(step, lastStep)] ?? 16_000);
}

/** When the back-off ends, by the monotonic clock; null without one. */
export function backOffEnd(view: RowView): number | null {
  return view.slowdown && endOf(view.slowdown);
}

function endOf({ value, by }: Dated<Slowdown>): number {
  return by + backOff(value.step);
}

/** What is left of the budget: 0 during the back-off, then growing; 1 when the episode is over. */
export function budgetFactor(view: Pick<RowView, 'slowdown'> | null, elapsed: number): number {
  if (!view?.slowdown) return 1;
  const since = elapsed - endOf(view.slowdown);
  return since < 0 ? 0 : Math.min(1, view.slowdown.value.factor + since * regainPerMs);
}

/** What is left of the budget as its readers see it: during the back-off what there will be at its end. */
export function shownFactor(view: Pick<RowView, 'slowdown'> | null, elapsed: number): number {
  return Math.max(budgetFactor(view, elapsed), view?.slowdown?.value.factor ?? 1);
}

/** Whether an episode of throttling is not over. */
export function isSlowed(view: Pick<RowView, 'slowdown'> | null, elapsed: number): boolean {
  return budgetFactor(view, elapsed) < 1;
}

/** A limit, as low as the vault's throttling makes it. */
export function slowed(limit: Amount, view: RowView | null, elapsed: number): Amount {
  return times(limit, budgetFactor(view, elapsed));
}

/** The slowdown as it is written again; null once the budget is whole. */
export function passedOn(view: RowView, at: Moment): Slowdown | null {
  if (view.slowdown === null || !isSlowed(view, at.elapsed)) return null;
  return { ...view.slowdown.value, ageMs: agedBy(view.slowdown.by, at) };
}

/** The row with nothing of this instance's changed but the slowdown. */
export function rowWith(view: RowView, at: Moment): BudgetRow {
  return { holdings: view.holdings.map(({ value, by }) => ({ ...value, ageMs: agedBy(by, at) })), slowdown: passedOn(view, at) };
}

/**
 * What a 429 makes of the slowdown that is known.
 * @returns null during a back-off: no call was admitted in it, so the 429 belongs to the same burst.
 */
export function throttledAt(known: Dated<Slowdown> | null, { elapsed, now }: Moment, instance?: string): Dated<Slowdown> | null {
  const factor = budgetFactor({ slowdown: known }, elapsed);
  if (factor === 0) return null;
  const goesOn = known !== null && factor < 1;
  const step = goesOn ? Math.min(known.value.step + 1, lastStep) : 0;
  const value = { step, factor: goesOn ? Math.max(smallestFactor, factor * cut) : cut, at: now, ageMs: millis(0) };
  return { value: instance === undefined ? value : { ...value, instance }, by: elapsed };
}

/**
 * The slowdown of a row into which a 429 has not come that this instance met.
 * @param own what this instance made of it.
 * @returns the very `told` where it says as much already.
 */
export function joined(told: Dated<Slowdown> | null, own: Dated<Slowdown>): Dated<Slowdown> {
  if (told === null) return own;
  const same = told.value.instance === own.value.instance && told.value.at === own.value.at && told.value.step === own.value.step;
  if (same) return told;
  const next = throttledAt(told, { elapsed: millis(own.by), now: own.value.at }, own.value.instance);
  if (next !== null) return next.value.step > own.value.step ? next : own;
  return own.value.step > told.value.step ? own : told;
}
