import { times } from '../domain/budget.ts';
import type { Amount, BudgetRow, Slowdown } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { agedBy } from './lease.ts';
import type { Moment, RowView } from './lease.ts';

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
  return view.slowdown && view.slowdown.by + backOff(view.slowdown.value.step);
}

/** What is left of the budget: 0 during the back-off, then growing; 1 when the episode is over. */
export function budgetFactor(view: RowView | null, elapsed: number): number {
  if (!view?.slowdown) return 1;
  const since = elapsed - view.slowdown.by - backOff(view.slowdown.value.step);
  return since < 0 ? 0 : Math.min(1, view.slowdown.value.factor + since * regainPerMs);
}

/** A limit, as low as the vault's throttling makes it. */
export function slowed(limit: Amount, view: RowView | null, elapsed: number): Amount {
  return times(limit, budgetFactor(view, elapsed));
}

/** The slowdown as it is written again; null once the budget is whole. */
export function passedOn(view: RowView, at: Moment): Slowdown | null {
  if (view.slowdown === null || budgetFactor(view, at.elapsed) >= 1) return null;
  return { ...view.slowdown.value, ageMs: agedBy(view.slowdown.by, at) };
}

/** What a first 429 makes of a whole budget. */
export function firstSlowdown(at: Moment): Slowdown {
  return { step: 0, factor: cut, at: at.now, ageMs: millis(0) };
}

/**
 * What the row says after a 429. During a back-off nothing changes: no call was admitted in it, so the 429 belongs to the same burst.
 * @returns null where nothing changes; `begins` says that this is the first of an episode.
 */
export function slowedRow(view: RowView, at: Moment): { readonly row: BudgetRow; readonly begins: boolean } | null {
  const factor = budgetFactor(view, at.elapsed);
  if (factor === 0) return null;
  const holdings = view.holdings.map(({ value, by }) => ({ ...value, ageMs: agedBy(by, at) }));
  if (view.slowdown === null || factor === 1) return { row: { holdings, slowdown: firstSlowdown(at) }, begins: true };
  const step = Math.min(view.slowdown.value.step + 1, lastStep);
  const slowdown = { step, factor: Math.max(smallestFactor, factor * cut), at: at.now, ageMs: millis(0) };
  return { row: { holdings, slowdown }, begins: false };
}
