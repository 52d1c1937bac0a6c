import { fits, least, less, nothing, sumOf, times } from '../domain/budget.ts';
import type { Amount, BudgetRow, Purse } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { decideDraw } from '../policy/draw.ts';
import type { Demand, Draw } from '../policy/draw.ts';
import type { Need } from '../policy/forecast.ts';
import { smallestShare } from '../policy/lease.ts';
import type { Moment } from '../policy/lease.ts';
import { limitOf } from '../policy/rate.ts';
import type { RateRules } from '../policy/rate.ts';
import type { BudgetLedger, KnownBy } from '../ports/budget-ledger.ts';
import type { Clock } from '../ports/clock.ts';
import { StoreAway } from '../ports/store.ts';
import { AwayAllowance } from './away-allowance.ts';
import { BudgetPicture } from './budget-picture.ts';
import { awayLease, givenBackAt, isRenewalDue, isWorthTelling, openLease } from './open-lease.ts';
import type { OpenLease } from './open-lease.ts';
import type { OwnSlowdown } from './own-slowdown.ts';
import { Spending } from './spending.ts';

export interface LeaseHolderParts {
  readonly vault: string;
  readonly purse: Purse;
  /** Name of this instance in the row. */
  readonly instance: string;
  readonly ledger: BudgetLedger;
  readonly clock: Clock;
  readonly rules: RateRules;
  readonly slowdown: OwnSlowdown;
}

/** What a draw came to: a lease; nothing free; no lease was asked for; another instance wrote first; the store is away. */
export type Drawn = 'leased' | 'dry' | 'given back' | 'lost' | 'away';

/** One instance's part of one purse of one vault: draws leases and spends them (B3). */
export class LeaseHolder {
  readonly #parts: LeaseHolderParts;
  readonly #spending: Spending;
  /** What it may spend while the store is away. */
  readonly away: AwayAllowance;
  /** What this instance knows of the budget. */
  readonly picture: BudgetPicture;
  #lease: OpenLease | null = null;
  /** The lease that is being written: until its fate is known, what is spent must fit both. */
  #pledged: { points: number; service: number } | null = null;
  #drawing = false;
  /** Whether an away lease was cut since the last stored write. */
  #owing = false;
  #roundTripMs = 0;
  /** When something was spent last, or a lease was drawn. */
  #usedAt = -Infinity;
  /** When the row is to be told what has ended of the calls that it counts as under way. */
  #tellsEndsAt = Infinity;

  constructor(parts: LeaseHolderParts) {
    this.#parts = parts;
    this.#spending = new Spending(parts.rules);
    this.away = new AwayAllowance(parts.rules, this.#spending);
    this.picture = new BudgetPicture({ ...parts, spending: this.#spending });
  }

  get drawing(): boolean {
    return this.#drawing;
  }

  /** How long the last draw took. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  /** What of the lease may be spent now. */
  left(now: number): Amount {
    if (this.#lease === null || now >= this.#lease.lapsesAt) return nothing;
    return this.#pledged === null ? this.#lease : least(this.#lease, this.#pledged);
  }

  /** Spends `cost` if the lease covers it. */
  take(cost: Amount, shape: string, now: number): boolean {
    const lease = this.#lease;
    if (lease === null || now >= lease.lapsesAt || !fits(cost, lease)) return false;
    if (this.#pledged !== null) {
      if (!fits(cost, this.#pledged)) return false;
      this.#pledged.points -= cost.points;
      this.#pledged.service -= cost.service;
    }
    lease.points -= cost.points;
    lease.service -= cost.service;
    this.#usedAt = now;
    this.#spending.record(cost, shape, now, lease.away);
    return true;
  }

  /** When the first of the calls like this one that are under way was let through; Infinity if none is. */
  underWaySince(cost: Amount, shape: string): number {
    return this.#spending.underWaySince(cost, shape);
  }

  /** A call that was let through has ended. */
  ended(cost: Amount, shape: string, now: number): void {
    this.#spending.ended(cost, shape, now);
  }

  /** Whether a lease should be drawn now so that later calls need not wait. */
  renewalDue(now: number): boolean {
    return !this.#drawing && (this.#lease === null || isRenewalDue(this.#lease, now));
  }

  /** When the row should be told what became of the lease, or of the calls under way, if no draw does it; Infinity if it need not be. */
  returnsAt(now: number): number {
    const { purse, rules } = this.#parts;
    if (this.#lease === null || this.#lease.away || now >= this.#lease.lapsesAt + rules.windowMs) return this.#tellsEndsAt;
    return Math.min(givenBackAt(this.#lease, this.#usedAt, limitOf(purse, rules), rules), this.#tellsEndsAt);
  }

  /** When calls that wait have something to expect without the store; Infinity if a draw will decide first. */
  nextAwayLease(now: number): number {
    return this.away.nextSlice(now);
  }

  /** Whether something was spent without the row's knowledge: it is written as soon as the store is back, before it is forgotten. */
  owesReport(now: number): boolean {
    return this.#owing && this.#spending.sum(now - this.#parts.rules.windowMs, 'away').points > 0;
  }

  /** Lets go of the lease, and of one that is being drawn. */
  drop(): void {
    this.#lease = null;
    this.#pledged = null;
  }

  look(row: BudgetRow): void {
    this.picture.look(row, this.#moment());
  }

  /**
   * Draws a lease; or only tells the row what was spent and gives the rest back. One at a time; `demand` is asked for once the row is known.
   * @param atLeast cost of one call; nothing: no lease is wanted.
   */
  async draw(demand: () => Demand, atLeast: Amount): Promise<Drawn> {
    const { ledger, vault, clock } = this.#parts;
    this.#drawing = true;
    const begun = clock.elapsed();
    this.away.attempt(begun);
    const draft: { granted: Amount | null; at: Millis } = { granted: null, at: begun };
    try {
      const { row, stored } = await ledger.change(vault, (current, known) => {
        const moment = this.#moment();
        this.#takeBack(draft);
        const next = this.#decide(current, { ...moment, known }, demand(), atLeast);
        if (next === null) return null;
        draft.granted = next.lease;
        draft.at = moment.elapsed;
        this.#pledged = { ...next.lease };
        return next.row;
      });
      const ended = this.#moment();
      this.#roundTripMs = ended.elapsed - begun;
      if (stored) this.picture.confirmed(draft.at);
      else if (draft.granted !== null) this.picture.look(row, ended);
      this.away.back(ended.elapsed);
      const drawn = this.#settle(draft, stored);
      if (drawn !== 'dry' || atLeast.points > 0) return drawn;
      // Also where nothing was written: the row holds no lease of ours, since an earlier write came through whose answer did not.
      this.#lease = null;
      return 'given back';
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      this.#settle(draft, false);
      this.away.failed(clock.elapsed());
      return 'away';
    } finally {
      this.#drawing = false;
    }
  }

  /** Cuts a lease from the fixed fraction where the store is away or slow, and no lease is left. */
  cutAwayLease(atLeast: Amount, now: number): boolean {
    if (this.#lease !== null && now < this.#lease.lapsesAt && fits(atLeast, this.left(now))) return true;
    const readAt = this.picture.view?.readAt ?? null;
    const known = { limit: this.picture.limit(now), others: this.picture.heldByOthers(now), readAt, atLeast };
    const size = this.away.slice(known, now);
    if (size === null) return false;
    this.#lease = awayLease(size, now, this.#parts.rules);
    this.#pledged = null;
    this.#owing = true;
    return true;
  }

  /** How long a call waits. */
  wait(need: Need, now: number): Millis {
    // In a back-off nothing is let through either way: what is left of it is known without the store.
    if (!this.away.inForce(now) || this.picture.limit(now).points === 0) return this.picture.wait(need, this.left(now), now);
    return this.away.wait(sumOf([need.load, ...need.promised.map(({ amount }) => amount)]), this.picture.limit(now), this.left(now));
  }

  /** How long it takes until a draw is worth its write: until a useful part of what waits can be had. */
  untilFree({ waiting }: Demand, now: number): Millis {
    const load = least(waiting, times(limitOf(this.#parts.purse, this.#parts.rules), smallestShare));
    if (load.points === 0) return millis(Math.max(0, this.picture.nextRelease(now) - now));
    return this.wait({ load, promised: [], claim: waiting, caution: 1 }, now);
  }

  #decide(row: BudgetRow, at: Moment & { readonly known: KnownBy }, demand: Demand, atLeast: Amount): Draw | null {
    const { purse, instance, rules } = this.#parts;
    const before = this.picture.view;
    const view = this.picture.look(row, at, at.known);
    // If it is stored, nobody had written until now.
    this.away.compare(before, { ...view, readAt: at.elapsed }, instance);
    this.#spending.prune(at.elapsed);
    const spent = this.#spending.spent(at.elapsed);
    const lastLease = this.#spending.recent(at.elapsed - rules.leaseMs);
    const trend = { lastLease, before: less(this.#spending.recent(at.elapsed - rules.windowMs), lastLease) };
    const unreported = this.away.unreported(this.picture.limit(at.elapsed), at.elapsed);
    const owing = this.owesReport(at.elapsed) || at.elapsed >= this.#tellsEndsAt;
    return decideDraw({ purse, instance, view, demand, atLeast, spent, trend, unreported, owing }, at, rules);
  }

  /** What was decided is not stored, or nobody knows: what is left must fit the lease before it and this one. */
  #takeBack(draft: { granted: Amount | null }): void {
    if (this.#lease !== null && this.#pledged !== null) this.#lease = { ...this.#lease, ...least(this.#lease, this.#pledged) };
    this.#pledged = null;
    draft.granted = null;
  }

  #settle(draft: { granted: Amount | null; readonly at: number }, stored: boolean): Drawn {
    const [granted, pledged] = [draft.granted, this.#pledged];
    this.picture.reckonAnew();
    if (granted === null) return 'dry';
    if (stored && pledged !== null) {
      this.#pledged = null;
      this.#owing = false;
      const { purse, rules } = this.#parts;
      const tellsEnds = isWorthTelling(this.#spending.underWay(draft.at), limitOf(purse, rules));
      this.#tellsEndsAt = tellsEnds ? draft.at + rules.leaseMs : Infinity;
      this.#usedAt = this.#parts.clock.elapsed();
      this.#lease = granted.points > 0 ? openLease(pledged, granted, draft.at, rules) : null;
      return granted.points > 0 ? 'leased' : 'dry';
    }
    this.#takeBack(draft);
    return 'lost';
  }

  #moment(): Moment {
    return { elapsed: this.#parts.clock.elapsed(), now: this.#parts.clock.now() };
  }
}
