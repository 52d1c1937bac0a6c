import type { Instant, Millis } from '../domain/time.ts';

/** Time and randomness. The only source of both in `broker`; policy is given `now` as a value. */
export interface Clock {
  /** Wall clock; it may jump either way. */
  now(): Instant;
  /** Monotonic milliseconds since an arbitrary zero: for durations and deadlines. */
  elapsed(): Millis;
  /** Resolves after `span` of monotonic time, or early when `signal` aborts. Never rejects. */
  pause(span: Millis, signal?: AbortSignal): Promise<void>;
  /** Cryptographically strong random bytes. */
  randomBytes(size: number): Uint8Array;
  /** A random UUID, lower case. */
  uuid(): string;
}
