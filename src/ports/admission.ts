import type { Tier } from '../domain/server.ts';
import type { Millis } from '../domain/time.ts';
import type { KeyShape } from '../domain/vault.ts';

/** A call that wants to go to a vault (B2, B4). */
export interface AdmissionRequest {
  readonly vault: string;
  /** Fairness is between servers. */
  readonly server: string;
  readonly key: KeyShape;
  /** Key of a second call that follows at once at the same vault, without asking again: `points` are those of both, half for each. */
  readonly also?: KeyShape;
  readonly class: 'unwrap' | 'wrap' | 'probe' | 'audit';
  readonly tier: Tier;
  readonly points: number;
  /** How long from now the call may still start. */
  readonly within: Millis;
}

/** What a caller was told by another vault that its operation needs, too. */
export interface ToldByAnother {
  /** To come back after so long. */
  readonly comeBack: Millis;
  /** How long it can still wait for its answer now. */
  readonly left: Millis;
}

/** Keeps each vault inside its rate budget. */
export interface Admission {
  /**
   * Undefined: go at once. A promise: wait in the queue; it resolves to the same two answers. A number: refused; come back after so many milliseconds.
   * Synchronous in the healthy case, so that admission costs no turn of the event loop.
   */
  admit(request: AdmissionRequest): undefined | Millis | Promise<undefined | Millis>;
  /**
   * The caller was told by another vault, which its operation needs too, to come back after so long: a place is kept for its call here.
   * @returns when it is to come back, that there is room here, too: then or later.
   */
  keep(request: AdmissionRequest, told: ToldByAnother): Promise<Millis>;
  /**
   * A call that was let through has ended, by an answer, a fault or its deadline: it reached the vault by now. Which of equal calls it was
   * does not matter. One that never tells counts as if it took the time of an attempt.
   */
  ended(call: Pick<AdmissionRequest, 'vault' | 'key' | 'points'>): void;
  /** A 429 from the vault: slow down (F7). Answers how long the vault is left alone now. */
  throttled(vault: string): Millis;
  /**
   * Use of the last window by all instances, in points, and by key shape in operations: by what the others had told at most a second ago;
   * with the store away, as far as this one knows. `limit` is lowered while the vault is throttled (F7), never to nothing: `used` may then be
   * more, of the time before. Never rejects.
   */
  usage(vault: string): Promise<{
    readonly used: number;
    readonly limit: number;
    readonly windowMs: Millis;
    readonly byKeyType: Readonly<Record<string, number>>;
  }>;
}
