import type { Tier } from '../domain/server.ts';
import type { Millis } from '../domain/time.ts';
import type { KeyShape } from '../domain/vault.ts';

/** A call that wants to go to a vault (B2, B4). */
export interface AdmissionRequest {
  readonly vault: string;
  /** Fairness is between servers. */
  readonly server: string;
  readonly key: KeyShape;
  readonly class: 'unwrap' | 'wrap' | 'probe' | 'audit';
  readonly tier: Tier;
  readonly points: number;
  /** How long from now the call may still start. */
  readonly within: Millis;
}

/** Keeps each vault inside its rate budget. */
export interface Admission {
  /**
   * Undefined: go at once. A promise: wait in the queue; it resolves to the same two answers. A number: refused; come back after so many milliseconds.
   * Synchronous in the healthy case, so that admission costs no turn of the event loop.
   */
  admit(request: AdmissionRequest): undefined | Millis | Promise<undefined | Millis>;
  /** A 429 from the vault: slow down (F7). */
  throttled(vault: string): void;
  /**
   * Use of the last window by all instances, in points, and by key shape in operations: by what the others had told at most a second ago;
   * with the store away, as far as this one knows. Never rejects.
   */
  usage(vault: string): Promise<{
    readonly used: number;
    readonly limit: number;
    readonly windowMs: Millis;
    readonly byKeyType: Readonly<Record<string, number>>;
  }>;
}
