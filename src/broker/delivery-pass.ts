import type { Agreement, DeadLetter, DeliveryState, Failing, HeldEvent, SettledEvent } from '../domain/delivery.ts';
import type { BrokerEvent } from '../domain/event.ts';
import { instant, millis, plus, span } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';
import { due, failedAgain, firstHeld, isDead, mostHeld, mostLastDead, passLasts, refusalsThatMeanAway } from '../policy/delivery.ts';
import type { Clock } from '../ports/clock.ts';
import type { WebhookAnswer, Webhooks, WebhookTarget } from '../ports/webhooks.ts';

/** What a pass is given. */
export interface PassParts {
  readonly webhooks: Webhooks;
  readonly clock: Clock;
}

/** What a pass came to. `left`: the oldest event in the log that it did not settle. */
export interface PassEnd {
  readonly state: DeliveryState;
  readonly dead: readonly DeadLetter[];
  readonly left: Instant | null;
}

/**
 * One pass over the events that one webhook has not heard: fresh ones in order, then those that are held. Never rejects. Requests go one
 * after another; none begins once the pass has lasted `passLasts`, so that it is over before its lease is.
 */
export class DeliveryPass {
  readonly #parts: PassParts;
  readonly #target: WebhookTarget;
  readonly #endsAt: Millis;
  readonly #settled: SettledEvent[] = [];
  readonly #dead: DeadLetter[] = [];
  /** Refused in this pass, before it is known whether the receiver takes anything; without a reason: behind one of the same subject. */
  readonly #refused: { readonly event: BrokerEvent; readonly reason: string | null }[] = [];
  readonly #before: Failing | null;
  #state: DeliveryState;
  #held: HeldEvent[];
  #taken = false;

  constructor(parts: PassParts, target: WebhookTarget, state: DeliveryState) {
    this.#parts = parts;
    this.#target = target;
    this.#state = state;
    this.#held = [...state.held];
    this.#before = state.failing;
    this.#endsAt = millis(parts.clock.elapsed() + passLasts);
  }

  /** @param fresh events of the log that are neither settled nor held, in order. */
  async run(fresh: readonly BrokerEvent[]): Promise<PassEnd> {
    if (!this.#ended && this.#state.agreed === null && (fresh.length > 0 || this.#held.length > 0)) await this.#ask();
    await this.#sendFresh(fresh);
    this.#judgeRefusals();
    if (!this.#ended) await this.#sendHeld();
    this.#giveUp(fresh);
    const left = this.#left(fresh).map(({ time }) => time);
    const settled = [...this.#state.settled, ...this.#settled];
    return {
      state: { ...this.#state, settled, held: this.#held, ...this.#deadLetters() },
      dead: this.#dead,
      left: left.length === 0 ? null : instant(Math.min(...left)),
    };
  }

  /** The receiver fails as a whole, or is gone: nothing more is sent in this pass. */
  get #ended(): boolean {
    return this.#state.stoppedAt !== null || (this.#state.failing !== null && this.#state.failing !== this.#before);
  }

  async #ask(): Promise<void> {
    const answer = await this.#parts.webhooks.ask(this.#target);
    if (answer.kind === 'taken') this.#state = { ...this.#state, agreed: answer.value };
    else this.#failWhole(answer);
  }

  async #sendFresh(fresh: readonly BrokerEvent[]): Promise<void> {
    for (const event of fresh) {
      if (this.#ended) return;
      if (this.#held.some((one) => one.event.subject === event.subject)) {
        if (!this.#hold(event, null)) return;
      } else if (this.#refused.some((one) => one.event.subject === event.subject)) {
        this.#refused.push({ event, reason: null });
      } else {
        const answer = await this.#send(event);
        if (answer === undefined) return;
        if (answer.kind === 'taken') this.#settle(event);
        else if (answer.kind === 'refused') this.#refused.push({ event, reason: answer.reason });
        else this.#failWhole(answer);
        if (!this.#taken && this.#refused.filter(({ reason }) => reason !== null).length >= refusalsThatMeanAway) return;
      }
    }
  }

  /** Refused by a receiver that took others: the events are held. By one that took none: the receiver fails. */
  #judgeRefusals(): void {
    const [first] = this.#refused;
    if (first === undefined || this.#ended) return;
    if (!this.#taken) {
      this.#failWhole({ kind: 'away', reason: first.reason ?? '', retryAfterMs: null });
      return;
    }
    for (const { event, reason } of this.#refused) {
      if (!this.#hold(event, reason === null ? null : this.#failed(null, reason, null))) return;
    }
  }

  async #sendHeld(): Promise<void> {
    for (const head of firstHeld(this.#held)) {
      if (!due(head.failing, this.#parts.clock.now())) continue;
      for (const one of this.#held.filter(({ event }) => event.subject === head.event.subject)) {
        const answer = await this.#send(one.event);
        if (answer === undefined) return;
        if (answer.kind === 'taken') {
          this.#drop(one);
          this.#settle(one.event);
        } else if (answer.kind === 'refused') {
          this.#refuseHeld(one, answer.reason);
          break;
        } else {
          this.#failWhole(answer);
          return;
        }
      }
    }
  }

  #refuseHeld(one: HeldEvent, reason: string): void {
    const failing = this.#failed(one.failing, reason, null);
    if (isDead(one.event, failing.since, this.#parts.clock.now())) {
      this.#drop(one);
      this.#bury(one.event, reason);
    } else this.#held = this.#held.map((other) => (other === one ? { event: one.event, failing } : other));
  }

  /** What the receiver that fails, or is gone, should have heard three days ago is given up. */
  #giveUp(fresh: readonly BrokerEvent[]): void {
    const { failing, stoppedAt } = this.#state;
    const silent = stoppedAt === null ? failing : { since: stoppedAt, reason: 'answered 410' };
    if (silent === null || !this.#ended) return;
    const now = this.#parts.clock.now();
    for (const event of this.#left(fresh)) if (isDead(event, silent.since, now)) this.#bury(event, silent.reason);
    for (const one of this.#held) {
      if (!isDead(one.event, silent.since, now)) continue;
      this.#drop(one);
      this.#bury(one.event, silent.reason);
    }
  }

  #deadLetters(): Pick<DeliveryState, 'deadLetters' | 'lastDead'> {
    const { deadLetters, lastDead = [] } = this.#state;
    if (this.#dead.length === 0) return { deadLetters };
    return { deadLetters: deadLetters + this.#dead.length, lastDead: [...lastDead, ...this.#dead].slice(-mostLastDead) };
  }

  #left(fresh: readonly BrokerEvent[]): readonly BrokerEvent[] {
    const done = new Set([...this.#settled.map(({ id }) => id), ...this.#held.map(({ event }) => event.id)]);
    return fresh.filter((event) => !done.has(event.id));
  }

  /** Sends at the pace that was agreed to. @returns undefined if that would take longer than the pass may. */
  async #send(event: BrokerEvent): Promise<WebhookAnswer<null> | undefined> {
    const { clock, webhooks } = this.#parts;
    const pause = this.#pauseFor(this.#state.agreed);
    if (clock.elapsed() + pause >= this.#endsAt) return undefined;
    if (pause > 0) await clock.pause(pause);
    this.#state = { ...this.#state, lastSentAt: clock.now() };
    const answer = await webhooks.send(this.#target, event);
    if (answer.kind === 'taken') {
      this.#taken = true;
      this.#state = { ...this.#state, failing: null };
    }
    return answer;
  }

  #pauseFor(agreed: Agreement | null): Millis {
    const { lastSentAt } = this.#state;
    if (agreed === null || agreed.ratePerMinute === null || lastSentAt === null) return millis(0);
    const apart = millis(60_000 / agreed.ratePerMinute);
    return millis(Math.min(apart, Math.max(0, span(this.#parts.clock.now(), plus(lastSentAt, apart)))));
  }

  #failWhole(answer: Exclude<WebhookAnswer<never>, { kind: 'taken' }>): void {
    if (answer.kind === 'gone') this.#state = { ...this.#state, stoppedAt: this.#parts.clock.now(), failing: null };
    else {
      const retryAfterMs = answer.kind === 'away' ? answer.retryAfterMs : null;
      this.#state = { ...this.#state, failing: this.#failed(this.#state.failing, answer.reason, retryAfterMs) };
    }
  }

  #failed(before: Failing | null, reason: string, retryAfterMs: Millis | null): Failing {
    const { clock } = this.#parts;
    const chance = (clock.randomBytes(1)[0] ?? 0) / 255;
    return failedAgain(before, { now: clock.now(), reason, chance, retryAfterMs });
  }

  /** @returns false if there is no room. */
  #hold(event: BrokerEvent, failing: Failing | null): boolean {
    if (this.#held.length >= mostHeld) return false;
    this.#held.push({ event, failing });
    return true;
  }

  #drop(one: HeldEvent): void {
    this.#held = this.#held.filter((other) => other !== one);
  }

  #settle(event: BrokerEvent): void {
    this.#settled.push({ at: event.time, id: event.id });
  }

  #bury(event: BrokerEvent, reason: string): void {
    this.#dead.push({ event, diedAt: this.#parts.clock.now(), reason });
    this.#settle(event);
  }
}
