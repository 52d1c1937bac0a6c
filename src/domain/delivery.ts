import type { BrokerEvent } from './event.ts';
import type { Instant } from './time.ts';

/** A webhook as it was configured. `name` is how people speak of it; URL and secrets are for its adapter alone and are told to nobody. */
export interface Webhook {
  readonly name: string;
  /** May hold a credential of the receiver's in path or query. */
  readonly url: string;
  /** Keys of Standard Webhooks, base64 as behind `whsec_`; two while one replaces the other. */
  readonly secrets: readonly string[];
}

/** Tries that failed, in a row: since when, how many, when the next may begin, and why the newest failed. */
export interface Failing {
  readonly since: Instant;
  readonly attempts: number;
  readonly nextAt: Instant;
  readonly reason: string;
}

/** An event that its receiver refused while it took others, or that waits behind one of the same subject (then without `failing`). */
export interface HeldEvent {
  readonly event: BrokerEvent;
  readonly failing: Failing | null;
}

/**
 * How far the delivery to one webhook has come (P2). Everything in the log before `from` is settled: delivered, held or dead. From there on
 * the log is read again and again, since events may arrive late at their own time; `settled` names those that are done with.
 */
export interface DeliveryState {
  /** Changes with the address: an agreement, a refusal for good and a failure belong to an address. */
  readonly address: string;
  readonly from: Instant;
  readonly settled: readonly SettledEvent[];
  /** In order; of each subject the first is tried again, the others wait behind it. */
  readonly held: readonly HeldEvent[];
  /** The receiver as a whole takes nothing. */
  readonly failing: Failing | null;
  /** The receiver answered 410: nothing is sent to this address any more, and what waits dies as where a receiver fails. */
  readonly stoppedAt: Instant | null;
  /** What the receiver agreed to; null before it did. */
  readonly agreed: Agreement | null;
  readonly lastSentAt: Instant | null;
  /** How many events were given up, and the last of them, in the order in which they were; absent in rows that are older than this field. */
  readonly deadLetters: number;
  readonly lastDead?: readonly DeadLetter[];
  /** Who delivers now. One that lapsed is free. */
  readonly lease: { readonly holder: string; readonly until: Instant } | null;
}

/** An event of the log that is done with. */
export interface SettledEvent {
  readonly at: Instant;
  readonly id: string;
}

/** The answer to the handshake of CloudEvents: how many requests a minute; null: as many as come. */
export interface Agreement {
  readonly ratePerMinute: number | null;
}

/** An event that was given up after three days. */
export interface DeadLetter {
  readonly event: BrokerEvent;
  readonly diedAt: Instant;
  readonly reason: string;
}
