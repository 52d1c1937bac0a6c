import type { BudgetRow, Purse } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { RowView, Moment } from '../policy/lease.ts';
import { viewRow } from '../policy/lease.ts';
import { limitOf } from '../policy/rate.ts';
import type { RateRules } from '../policy/rate.ts';
import { backOffEnd, isSlowed, rowWith, shownFactor } from '../policy/slowdown.ts';
import type { AdmissionRequest, ToldByAnother } from '../ports/admission.ts';
import type { BudgetLedger } from '../ports/budget-ledger.ts';
import type { Clock } from '../ports/clock.ts';
import { StoreAway } from '../ports/store.ts';
import { oldMs } from './announcements.ts';
import type { Usage } from './budget-picture.ts';
import { LeaseHolder } from './lease-holder.ts';
import { OwnSlowdown } from './own-slowdown.ts';
import { Turnstile } from './turnstile.ts';
import type { Fare } from './waiting-calls.ts';

export interface AdmissionParts {
  readonly ledger: BudgetLedger;
  readonly clock: Clock;
  readonly rules: RateRules;
  /** Calls that may wait at once, a vault and purse. */
  readonly queueLength: number;
  /**
   * An episode of throttling begins at this vault, seen first by this instance: the event `keybroker.budget.tight` (F7). Where it rejects with
   * `StoreAway` it is asked again.
   */
  readonly onTight: (vault: string) => Promise<void>;
}

interface Way {
  readonly holder: LeaseHolder;
  readonly turnstile: Turnstile;
}

/** How often the row is tried again where other instances write at the same moment, and the longest pause between. */
const slowTries = 8;
const slowPauseMs = 50;

/** So long the row as it was seen last tells the use of the vault: draws of leases see it as often where there is traffic. */
const freshMs = 1000;

/** Whoever is told when to come back waits no longer than this for the row. */
const longestLookMs = millis(500);

/** The two ways into one vault: one for traffic, one for probes with the share that is kept for them. */
export class VaultGate {
  readonly #vault: string;
  readonly #parts: AdmissionParts;
  readonly #traffic: Way;
  readonly #probes: Way;
  readonly #instance: string;
  readonly #slowdown: OwnSlowdown;
  #looking: Promise<void> | undefined;
  /** Nothing goes through until it is known how long the vault is left alone. */
  #halted = false;
  #telling = false;
  /** Whether nobody has heard yet of the episode that this instance met. */
  #unheard = false;

  /** @param instance name of this instance in the row. */
  constructor(vault: string, instance: string, parts: AdmissionParts) {
    this.#vault = vault;
    this.#parts = parts;
    this.#instance = instance;
    this.#slowdown = new OwnSlowdown(instance);
    const slowdown = this.#slowdown;
    const way = (purse: Purse): Way => {
      const { ledger, clock, rules, queueLength } = parts;
      const holder = new LeaseHolder({ vault, purse, instance, ledger, clock, rules, slowdown });
      const bookedPointsAServer = limitOf(purse, rules).points;
      const settings = { windowMs: rules.windowMs, leaseMs: rules.leaseMs, queueLength, bookedPointsAServer };
      return { holder, turnstile: new Turnstile(holder, clock, settings) };
    };
    this.#traffic = way('traffic');
    this.#probes = way('probes');
  }

  admit(request: AdmissionRequest, fare: Fare): undefined | Millis | Promise<undefined | Millis> {
    const now = this.#parts.clock.elapsed();
    if (request.class !== 'probe') return this.#traffic.turnstile.ask(request, fare, now);
    if (this.#probes.turnstile.tryNow(request, fare, now)) return undefined;
    // Probes may have what traffic does not need, never the other way round.
    if (this.#traffic.turnstile.tryNow(request, fare, now)) return undefined;
    return this.#probes.turnstile.ask(request, fare, now);
  }

  /** As `Admission.keep`. What an instance has not looked at for a while, others may have promised to theirs. */
  async keep(request: AdmissionRequest, fare: Fare, { comeBack, left }: ToldByAnother): Promise<Millis> {
    const { holder, turnstile } = this.#traffic;
    const asked = this.#parts.clock.elapsed();
    if (holder.picture.age(asked) > oldMs && !holder.away.inForce(asked)) await this.#lookWithin(millis(Math.min(left, longestLookMs)));
    const waited = this.#parts.clock.elapsed() - asked;
    return turnstile.keep(request, fare, millis(Math.max(0, comeBack - waited)));
  }

  /** One read for all who ask meanwhile; none waits for it for longer than he can. */
  async #lookWithin(ms: Millis): Promise<void> {
    const enough = new AbortController();
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    try {
      await Promise.race([this.#looking, this.#parts.clock.pause(ms, enough.signal)]);
    } finally {
      enough.abort();
    }
  }

  /** Where a draw has read the row meanwhile it knows better; and with the store away, what was read before it went decides. */
  async #look(): Promise<void> {
    const { holder } = this.#traffic;
    const { clock, ledger } = this.#parts;
    const begun = clock.elapsed();
    try {
      const row = await ledger.read(this.#vault);
      const ended = clock.elapsed();
      if (holder.picture.age(ended) > ended - begun && !holder.away.inForce(ended)) holder.look(row);
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
    }
  }

  /** A call that was let through has ended. Probes may have gone by either way: the one that was let through first is taken to be it. */
  ended({ cost, shape }: Fare): void {
    const [traffic, probes] = [this.#traffic.holder, this.#probes.holder];
    const holder = probes.underWaySince(cost, shape) < traffic.underWaySince(cost, shape) ? probes : traffic;
    holder.ended(cost, shape, this.#parts.clock.elapsed());
  }

  /**
   * The vault answered 429 (F7). What comes while the row is being written belongs to the same burst.
   * @returns how long the vault is left alone now.
   */
  throttled(): Millis {
    const at = this.#moment();
    if (!this.#halted) this.#slow(at);
    const { view } = this.#traffic.holder.picture;
    return millis(Math.max(0, ((view && backOffEnd(view)) ?? 0) - at.elapsed));
  }

  /**
   * Of traffic and of probes, by the row as it was seen in the last second, or else by a read of it; with the store away, as it was seen
   * last. No call is let through by it. `factor`: what throttling leaves of the budget (F7).
   */
  async usage(): Promise<{ readonly purses: readonly Usage[]; readonly factor: number }> {
    const view = await this.#freshView();
    const now = this.#parts.clock.elapsed();
    const { view: own } = this.#traffic.holder.picture;
    return {
      purses: [this.#traffic, this.#probes].map(({ holder }) => holder.picture.usage(now, view)),
      // What this instance met may not be in the row yet.
      factor: Math.min(shownFactor(view, now), shownFactor(own, now)),
    };
  }

  async #freshView(): Promise<RowView | null> {
    const { view } = this.#traffic.holder.picture;
    const at = this.#moment();
    if (view !== null && at.elapsed - view.readAt < freshMs) return view;
    try {
      return viewRow(await this.#parts.ledger.read(this.#vault), view, at, this.#parts.rules);
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      return view;
    }
  }

  /** What this instance does at once, before the others know. */
  #slow(at: Moment): void {
    const { view } = this.#traffic.holder.picture;
    const slowdown = this.#slowdown.met(view?.slowdown ?? null, at);
    if (slowdown === null) return;
    if (!isSlowed(view, at.elapsed)) this.#unheard = true;
    this.#halted = true;
    for (const { holder, turnstile } of [this.#traffic, this.#probes]) {
      holder.picture.slow(slowdown);
      turnstile.halt();
    }
    if (this.#telling) return;
    void this.#tell().finally(() => {
      this.#telling = false;
      this.#resume(null);
    });
  }

  /** Tells the others, and of the episode, as soon as the store takes it; meanwhile this instance goes on as slowly as it has to, alone. */
  async #tell(): Promise<void> {
    const { clock, rules } = this.#parts;
    this.#telling = true;
    for (let tries = 1; !(await this.#told()); tries += 1) {
      if (tries >= slowTries) this.#resume(null);
      const soon = (slowPauseMs * (clock.randomBytes(1)[0] ?? 0)) / 256;
      await clock.pause(tries < slowTries ? millis(soon) : rules.leaseMs);
    }
  }

  /** @returns whether the row says now that the vault is throttled, by this instance or by another that was first. */
  async #told(): Promise<boolean> {
    const { ledger, rules, onTight } = this.#parts;
    const found = { begins: false };
    try {
      const { row, stored } = await ledger.change(this.#vault, (current) => {
        const at = this.#moment();
        const view = viewRow(current, this.#traffic.holder.picture.view, at, rules);
        // A draw of this instance may have told it already.
        found.begins = !isSlowed(view, at.elapsed) || view.slowdown?.value.instance === this.#instance;
        const slowdown = this.#slowdown.beside(view.slowdown, at.elapsed);
        return slowdown === view.slowdown ? null : rowWith({ ...view, slowdown }, at);
      });
      if (!stored && this.#slowdown.untold) return false;
      this.#resume(row);
      if (this.#unheard && found.begins) await onTight(this.#vault);
      this.#unheard = false;
      // Another 429 may have come while this one was told of.
      return !this.#halted && !this.#slowdown.untold;
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      this.#resume(null);
      return false;
    }
  }

  #resume(row: BudgetRow | null): void {
    if (!this.#halted) return;
    this.#halted = false;
    this.#traffic.turnstile.resume(row);
    this.#probes.turnstile.resume(row);
  }

  #moment(): Moment {
    return { elapsed: this.#parts.clock.elapsed(), now: this.#parts.clock.now() };
  }
}
