import { add, less, nothing } from '../domain/budget.ts';
import type { Amount, BudgetRow, Purse, Slowdown } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { waitFor } from '../policy/forecast.ts';
import type { Need, Outlook } from '../policy/forecast.ts';
import { believed, held, othersClaims, othersWaiting, releases, viewRow } from '../policy/lease.ts';
import type { Dated, Moment, Release, RowView } from '../policy/lease.ts';
import { othersExpected, othersPromises, writtenAt } from '../policy/promises.ts';
import type { WrittenAt } from '../policy/promises.ts';
import { limitOf } from '../policy/rate.ts';
import type { RateRules } from '../policy/rate.ts';
import { backOffEnd, slowed } from '../policy/slowdown.ts';
import type { KnownBy } from '../ports/budget-ledger.ts';
import type { OwnSlowdown } from './own-slowdown.ts';
import { PlacesElsewhere } from './places-elsewhere.ts';
import type { Spending } from './spending.ts';

export interface PictureParts {
  readonly purse: Purse;
  /** Name of this instance in the row. */
  readonly instance: string;
  readonly rules: RateRules;
  readonly spending: Spending;
  /** What this instance met and the row may not tell yet. */
  readonly slowdown: OwnSlowdown;
}

/** What is known of a row that was never read. */
const unread: RowView = { readAt: millis(-Infinity), holdings: [], slowdown: null };

/** What is spent by key shape, in operations, and in points. */
export interface Usage {
  readonly points: number;
  readonly operations: Readonly<Record<string, number>>;
}

/** A forecast is made anew after so long: hundreds of calls of one storm share it. */
const outlookMs = 20;

/** So long before its supply, at most, a caller comes: then it is counted where it came. */
const earliestMs = 1000;

/** Who was promised supply so long from now, or so long ago, may be coming back just now. */
const aroundMs = 1500;

/** What one instance knows of one purse: the row as it saw it last, and its own spending. Times by the monotonic clock. */
export class BudgetPicture {
  /** Where other instances expect callers. */
  readonly elsewhere = new PlacesElsewhere();
  readonly #parts: PictureParts;
  #view: RowView | null = null;
  #writtenAt: WrittenAt = new Map();
  /** What the others promised, earliest first. */
  #promises: readonly Release[] = [];
  #outlook: { readonly until: number; readonly value: Outlook } | null = null;

  constructor(parts: PictureParts) {
    this.#parts = parts;
  }

  /** The row as it was seen last; null if it never was. */
  get view(): RowView | null {
    return this.#view;
  }

  /** How long ago the row was read, in ms. */
  age(now: number): number {
    return now - (this.#view?.readAt ?? -Infinity);
  }

  /** @param known by what. A row that was only written says nothing new of what others did since it was read: see `confirmed`. */
  look(row: BudgetRow, at: Moment, known: KnownBy = 'read'): RowView {
    const { purse, instance } = this.#parts;
    const before = this.#view;
    const told = viewRow(row, before, at, this.#parts.rules);
    const readAt = known === 'read' ? told.readAt : (before ?? unread).readAt;
    this.#view = { ...told, readAt, slowdown: this.#parts.slowdown.beside(told.slowdown, at.elapsed) };
    this.#writtenAt = writtenAt(this.#view, before, this.#writtenAt, this.#parts);
    this.#promises = othersPromises(this.#view, purse, instance, this.#writtenAt).sort((a, b) => a.at - b.at);
    this.#outlook = null;
    const [view, written] = [this.#view, this.#writtenAt];
    this.elsewhere.renew(() => othersExpected(view, purse, instance, written), at.elapsed);
    return view;
  }

  /** The condition of a write held: the row was as it was looked at, also then. */
  confirmed(elapsed: Millis): void {
    if (this.#view !== null && this.#view.readAt < elapsed) this.#view = { ...this.#view, readAt: elapsed };
  }

  /** The vault throttles this instance, whatever the row says. */
  slow(slowdown: Dated<Slowdown>): void {
    this.#view = { ...(this.#view ?? unread), slowdown };
    this.#outlook = null;
  }

  /** To be called when this instance's lease changed: what is free was reckoned without it. */
  reckonAnew(): void {
    this.#outlook = null;
  }

  /** What the purse holds in a window; less after a 429. */
  limit(now: number): Amount {
    const { purse, rules } = this.#parts;
    return slowed(limitOf(purse, rules), this.#view, now);
  }

  /** What others are known to have spent in the last window, or to hold. */
  heldByOthers(now: number): Amount {
    return held(this.#othersReleases(), now);
  }

  /** Whether the row tells of no other instance. */
  get alone(): boolean {
    const { purse, instance } = this.#parts;
    return this.#view?.holdings.every(({ value }) => value.purse !== purse || value.instance === instance) ?? true;
  }

  /** How many other instances have something to get. */
  rivals(now: number): number {
    const { purse, instance } = this.#parts;
    return this.#view === null ? 0 : othersClaims(this.#view, purse, instance, now).length;
  }

  /** How many other instances have something to get, or something to spend. */
  busy(now: number): number {
    const { purse, instance } = this.#parts;
    if (this.#view === null) return 0;
    const recent = believed(this.#view, purse, instance, now);
    return recent.filter(({ claim, lease }) => claim.points > 0 || lease.points > 0).length;
  }

  /** Whether callers whom other instances told to come back may come by now. */
  expects(now: number): boolean {
    return this.#promises.some(({ at }) => Math.abs(at - now) < aroundMs);
  }

  /** How long a call waits that needs so much, where this instance holds `left`. */
  wait(need: Need, left: Amount, now: number): Millis {
    if (this.#view === null) return millis(0);
    const resume = backOffEnd(this.#view) ?? 0;
    if (now < resume) return millis(resume - now + (this.#parts.rules.windowMs * need.load.points) / this.limit(resume).points);
    if (this.#outlook === null || now >= this.#outlook.until) this.#outlook = { until: now + outlookMs, value: this.#lookOut(left, now) };
    return waitFor(need, { ...this.#outlook.value, left }, now);
  }

  /** When more of the budget will be free; Infinity if nothing is spent. */
  nextRelease(now: number): number {
    const resume = (this.#view && backOffEnd(this.#view)) ?? 0;
    return now < resume ? resume : (this.#sortedReleases(now)[0]?.at ?? Infinity);
  }

  /** Of the last window and all instances, as `view` shows them; this instance knows its own spending better. */
  usage(now: number, view: RowView | null): Usage {
    const { rules, purse, instance, spending } = this.#parts;
    const others = view?.holdings.filter(({ value }) => value.purse === purse && value.instance !== instance) ?? [];
    const own = { by: now, value: { spent: spending.spent(now) } };
    const operations: Record<string, number> = {};
    let points = 0;
    for (const { by, value } of [...others, own]) {
      for (const spent of value.spent) {
        if (by - spent.agoMs + rules.windowMs <= now) continue;
        points += spent.points;
        for (const [shape, count] of Object.entries(spent.operations)) operations[shape] = (operations[shape] ?? 0) + count;
      }
    }
    return { points, operations };
  }

  #lookOut(left: Amount, now: number): Outlook {
    const { purse, instance, rules } = this.#parts;
    const view = this.#view;
    const certain = this.#sortedReleases(now);
    const limit = this.limit(now);
    const free = less(limit, add(held(certain, now), left));
    return {
      left,
      free,
      releases: certain.map((release) => likely(release, now)).sort((a, b) => a.at - b.at),
      limit,
      othersWaiting: view === null ? nothing : othersWaiting(view, purse, instance, now),
      othersPromised: this.#promises.filter(({ at }) => at > now + earliestMs),
      windowMs: rules.windowMs,
    };
  }

  #sortedReleases(now: number): Release[] {
    const all = [...this.#othersReleases(), ...this.#parts.spending.releases()];
    return all.filter((release) => release.at > now).sort((a, b) => a.at - b.at);
  }

  #othersReleases(): Release[] {
    return this.#view === null ? [] : releases(this.#view, this.#parts.purse, this.#parts.instance, this.#parts.rules);
  }
}

/** Who draws a lease has calls that wait for it: most of it is spent when it is drawn, and not at its last moment. */
function likely({ at, amount, lastsMs = millis(0) }: Release, now: number): Release {
  return { at: at - lastsMs > now ? at - lastsMs : at, amount };
}
