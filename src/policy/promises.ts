import type { Holding, Purse } from '../domain/budget.ts';
import type { Millis } from '../domain/time.ts';
import { othersOf } from './lease.ts';
import type { Release, RowView } from './lease.ts';

/** When other instances wrote their holdings, as far as a reader can tell: the earliest that it can have been, by its monotonic clock. */
export type WrittenAt = ReadonlyMap<string, { readonly wroteElapsed: Millis; readonly at: number }>;

/**
 * Dates the holdings of others for what they promised. Safety takes the latest time that a write can have been (`by`), which may be late by
 * seconds where the reader was idle; promises so dated would seem to be still ahead when their callers come back.
 * @param known what was found by the view `before`.
 */
export function writtenAt(
  view: RowView,
  before: RowView | null,
  known: WrittenAt,
  { purse, instance }: Pick<Holding, 'purse' | 'instance'>,
): WrittenAt {
  const own = view.holdings.find(({ value }) => value.instance === instance && value.purse === purse)?.value;
  // The last writer's holding is the last one; it knew how old the reader's own was, at least.
  const last = view.holdings.at(-1)?.value;
  const found = new Map<string, { wroteElapsed: Millis; at: number }>();
  for (const { value, by } of othersOf(view, purse, instance)) {
    const { wroteElapsed } = value;
    const seen = known.get(value.instance);
    const bounds = [
      seen === undefined ? -Infinity : seen.at + (wroteElapsed - seen.wroteElapsed),
      seen?.wroteElapsed === wroteElapsed ? -Infinity : (before?.readAt ?? -Infinity),
      value === last && own !== undefined ? own.wroteElapsed + own.ageMs : -Infinity,
    ];
    const earliest = Math.max(...bounds);
    found.set(value.instance, { wroteElapsed, at: earliest > -Infinity ? Math.min(by, earliest) : by });
  }
  return found;
}

/** What other instances promised to callers whom they told to come back, by when there is supply for it, in no order. */
export function othersPromises(view: RowView, purse: Purse, instance: string, known: WrittenAt): Release[] {
  return othersOf(view, purse, instance).flatMap(({ value, by }) => {
    const at = known.get(value.instance)?.at ?? by;
    return (value.promised ?? []).map((amount) => ({ at: at + amount.inMs, amount }));
  });
}
