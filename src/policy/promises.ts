import type { Amount, Holding, Purse } from '../domain/budget.ts';
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

/** Times and callers are told by steps of so long, in ms. */
export const stepMs = 500;

/** So long after its time, in ms, a caller still finds its place at another instance than the one that told it the time. */
export const lateMs = 2000;

const tagLength = 4;

/** What stands in the row for calls of one server at one cost. Two may share it: then one may take the place of the other. */
export function tagOf(server: string, { points, service }: Amount): string {
  let hash = 2_166_136_261;
  for (const char of `${server} ${points} ${service}`) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
  return ((hash >>> 0) % 36 ** tagLength).toString(36).padStart(tagLength, '0');
}

/** Callers by their tags that are to come in the step that begins at `at`, by the monotonic clock. */
export interface ExpectedAt {
  readonly at: number;
  readonly tags: string;
}

/** The place of one caller at another instance. `id`: the same in each of that instance's writes, whatever else they tell. */
export interface PlaceElsewhere {
  readonly id: string;
  readonly at: number;
}

/** The places that other instances keep for callers whom they told to come back, by tag. */
export function othersExpected(view: RowView, purse: Purse, instance: string, known: WrittenAt): Map<string, PlaceElsewhere[]> {
  const places = new Map<string, PlaceElsewhere[]>();
  for (const { value, by } of othersOf(view, purse, instance)) {
    const wroteAt = known.get(value.instance)?.at ?? by;
    for (const { inMs, tags } of value.expected ?? []) {
      const step = Math.ceil((value.wroteElapsed + inMs) / stepMs);
      const met = new Map<string, number>();
      for (let from = 0; from < tags.length; from += tagLength) {
        const tag = tags.slice(from, from + tagLength);
        const same = places.get(tag) ?? [];
        places.set(tag, same);
        const number = met.get(tag) ?? 0;
        met.set(tag, number + 1);
        same.push({ id: `${value.instance} ${step} ${tag} ${number}`, at: wroteAt + inMs });
      }
    }
  }
  return places;
}
