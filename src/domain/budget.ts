import type { Instant, Millis } from './time.ts';

/**
 * What calls cost, or may cost, a vault's rate budget (B2). Two rules hold side by side, so there are two numbers:
 * `points`, and `service`: millionths of what the broker uses of the service's own limit in one window.
 */
export interface Amount {
  readonly points: number;
  readonly service: number;
}

/**
 * What an instance has to get for its servers. `upTo`: the points that it would be if no server claimed more than 50, 160, 400 of them
 * (policy/claims.ts). A number that is left out is all of it: so the first is where no server claims more than 50, and where the claim is of
 * an older version, which does not say.
 */
export interface Claim extends Amount {
  readonly upTo?: readonly number[];
  /**
   * The points of it that are of callers who came back as they were told, and wait: they go before all others. Those who are expected and
   * have not come are not among them. Of one server no more than the first 50. Absent: none, or the claim is of an older version.
   */
  readonly due?: number;
}

/** Which part of a vault's budget: 5 % are kept for probes, and no traffic draws on them (B4). */
export type Purse = 'traffic' | 'probes';

/** What was spent up to `agoMs` before its holder wrote it down; negative where calls are under way: up to so long after that. */
export interface Spent extends Amount {
  readonly agoMs: Millis;
  /** How many operations it was, by key shape, e.g. `RSA-HSM/3072`. */
  readonly operations: Readonly<Record<string, number>>;
}

/** What was promised to callers that were told to come back: there is supply for it from `inMs` after its holder wrote it down. */
export interface Promised extends Claim {
  readonly inMs: Millis;
}

/** Callers that were told to come back in the half second from `inMs` after the holder wrote it down on. */
export interface Expected {
  readonly inMs: Millis;
  /** One after the other, four characters each (policy/promises.ts). */
  readonly tags: string;
}

/**
 * All that one instance has of one purse. The instance writes it as a whole and is the only one that does: it alone knows what it spent.
 * Times inside are relative to that write, by the holder's own monotonic clock, so that they are exact whatever its wall clock says.
 */
export interface Holding {
  readonly instance: string;
  readonly purse: Purse;
  /** When the holder wrote it, by its wall clock, and by its monotonic one. */
  readonly wroteAt: Instant;
  readonly wroteElapsed: Millis;
  /** When the row was written last, by whomever: so long ago, at least, had the holder written. */
  readonly ageMs: Millis;
  /** The lease: may be spent from the holder's write on, for `leaseMs`. */
  readonly lease: Amount;
  readonly leaseMs: Millis;
  /** What the holder still had to get when it wrote: for its queue, and for callers that it told to come back. */
  readonly claim: Claim;
  /**
   * The part of `claim` that was promised to callers who come back, by when there is supply for it: earliest first, in steps of half a
   * second, 24 at most. Absent where the holder is an older version, which does not say.
   */
  readonly promised?: readonly Promised[];
  /**
   * Who was told to come back, by when, earliest first: so that each finds its place at whichever instance it comes to. Absent where the
   * holder is an older version.
   */
  readonly expected?: readonly Expected[];
  readonly spent: readonly Spent[];
}

/** A vault that answered 429 (F7). One from the first 429 until the budget is whole again: one episode, one event. */
export interface Slowdown {
  /** Of this episode: 0 for the first 429; each that comes after the back-off of the one before adds one, up to 4. */
  readonly step: number;
  /** Factor below 1 to which the budget falls; it grows again after the back-off. */
  readonly factor: number;
  /** When the 429 was met, as in {@link Holding}: wall clock of the writer, and least age at the row's last write. */
  readonly at: Instant;
  readonly ageMs: Millis;
  /** The instance that met it; absent where that is of an older version. */
  readonly instance?: string;
}

/** The one row of a vault's rate budget. */
export interface BudgetRow {
  readonly holdings: readonly Holding[];
  readonly slowdown: Slowdown | null;
}

export const emptyBudgetRow: BudgetRow = { holdings: [], slowdown: null };

export const nothing: Amount = { points: 0, service: 0 };

export function add(a: Amount, b: Amount): Amount {
  return { points: a.points + b.points, service: a.service + b.service };
}

export function sumOf(amounts: readonly Amount[]): Amount {
  return amounts.reduce<Amount>(add, nothing);
}

/** `a` less `b`, neither number below zero. */
export function less(a: Amount, b: Amount): Amount {
  return { points: Math.max(0, a.points - b.points), service: Math.max(0, a.service - b.service) };
}

export function times(a: Amount, factor: number): Amount {
  return { points: a.points * factor, service: a.service * factor };
}

/** The smaller of each number. */
export function least(a: Amount, b: Amount): Amount {
  return { points: Math.min(a.points, b.points), service: Math.min(a.service, b.service) };
}

/** The larger of each number. */
export function most(a: Amount, b: Amount): Amount {
  return { points: Math.max(a.points, b.points), service: Math.max(a.service, b.service) };
}

/** Whether `part` fits into `whole`, by both rules. */
export function fits(part: Amount, whole: Amount): boolean {
  return part.points <= whole.points && part.service <= whole.service;
}
