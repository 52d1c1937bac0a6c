import type { BudgetRow, Purse } from '../domain/budget.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import type { RowView, Moment } from '../policy/lease.ts';
import { viewRow } from '../policy/lease.ts';
import { limitOf } from '../policy/rate.ts';
import type { RateRules } from '../policy/rate.ts';
import { firstSlowdown, slowedRow } from '../policy/slowdown.ts';
import type { AdmissionRequest } from '../ports/admission.ts';
import type { BudgetLedger } from '../ports/budget-ledger.ts';
import type { Clock } from '../ports/clock.ts';
import { StoreAway } from '../ports/store.ts';
import type { Usage } from './budget-picture.ts';
import { LeaseHolder } from './lease-holder.ts';
import { Turnstile } from './turnstile.ts';
import type { Fare } from './turnstile.ts';

export interface AdmissionParts {
  readonly ledger: BudgetLedger;
  readonly clock: Clock;
  readonly rules: RateRules;
  /** Calls that may wait at once, a vault and purse. */
  readonly queueLength: number;
  /** An episode of throttling begins at this vault, seen first by this instance: the event `keybroker.budget.tight` (F7). Must not throw. */
  readonly onTight: (vault: string) => void;
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

/** The two ways into one vault: one for traffic, one for probes with the share that is kept for them. */
export class VaultGate {
  readonly #vault: string;
  readonly #parts: AdmissionParts;
  readonly #traffic: Way;
  readonly #probes: Way;
  #slowing = false;

  /** @param instance name of this instance in the row. */
  constructor(vault: string, instance: string, parts: AdmissionParts) {
    this.#vault = vault;
    this.#parts = parts;
    const way = (purse: Purse): Way => {
      const { ledger, clock, rules, queueLength } = parts;
      const holder = new LeaseHolder({ vault, purse, instance, ledger, clock, rules });
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

  /** The vault answered 429 (F7). What comes while the row is being written belongs to the same burst. */
  throttled(): void {
    if (this.#slowing) return;
    this.#slowing = true;
    this.#traffic.turnstile.halt();
    this.#probes.turnstile.halt();
    void this.#slow().finally(() => (this.#slowing = false));
  }

  /**
   * Of traffic and of probes, by the row as it was seen in the last second, or else by a read of it; with the store away, as it was seen
   * last. No call is let through by it.
   */
  async usage(): Promise<readonly Usage[]> {
    const view = await this.#freshView();
    const now = this.#parts.clock.elapsed();
    return [this.#traffic, this.#probes].map(({ holder }) => holder.picture.usage(now, view));
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

  async #slow(): Promise<void> {
    const { clock } = this.#parts;
    try {
      for (let tries = 0; tries < slowTries; tries += 1) {
        if (await this.#writeSlowdown()) return;
        await clock.pause(millis((slowPauseMs * (clock.randomBytes(1)[0] ?? 0)) / 256));
      }
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
    }
    // The row could not be written: this instance leaves the vault in peace alone.
    this.#resume({ holdings: [], slowdown: firstSlowdown(this.#moment()) });
  }

  /** @returns whether the row says now that the vault is throttled, by this instance or by another that was first. */
  async #writeSlowdown(): Promise<boolean> {
    const { ledger, rules, onTight } = this.#parts;
    const found = { begins: false };
    const { row, stored } = await ledger.change(this.#vault, (current) => {
      const at = this.#moment();
      const slowed = slowedRow(viewRow(current, this.#traffic.holder.picture.view, at, rules), at);
      found.begins = slowed?.begins ?? false;
      return slowed?.row ?? null;
    });
    if (!stored && row.slowdown === null) return false;
    this.#resume(row);
    if (stored && found.begins) onTight(this.#vault);
    return true;
  }

  #resume(row: BudgetRow): void {
    this.#traffic.turnstile.resume(row);
    this.#probes.turnstile.resume(row);
  }

  #moment(): Moment {
    return { elapsed: this.#parts.clock.elapsed(), now: this.#parts.clock.now() };
  }
}
