import { instant, millis } from '../../src/domain/time.ts';
import type { Clock } from '../../src/ports/clock.ts';

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly end: () => void;
}

export interface VirtualClock extends Clock {
  /** Moves time on by `ms`, ending each pause at its moment, in order, and letting what waited for it run before the next ends. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, as a correction by the network's time would. */
  step(ms: number): void;
  /** The same timeline with another wall clock: a machine whose clock is off by `ms`. */
  skewed(ms: number): Clock;
  /** How many pauses are pending. */
  readonly pending: number;
}

/** Lets everything run that can without time passing. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * A clock that stands still until it is told to move. Its randomness is a fixed sequence, so that a run can be repeated.
 * @param start wall clock in ms since the epoch.
 */
export function virtualClock(start = 1_700_000_000_000, seed = 1): VirtualClock {
  let elapsed = 0;
  let wall = start;
  let order = 0;
  let state = seed >>> 0 || 1;
  let waiting: Pending[] = [];

  function pause(span: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        waiting = waiting.filter((other) => other !== pending);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const pending: Pending = { at: elapsed + Math.max(0, span), order: (order += 1), end };
      waiting.push(pending);
      signal?.addEventListener('abort', end);
    });
  }

  function randomByte(): number {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state & 0xff;
  }

  const randomBytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, randomByte);
  const uuid = (): string => {
    const hex = [...randomBytes(16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  };
  const clockWith = (offset: number): Clock => ({
    now: () => instant(Math.floor(wall + elapsed + offset)),
    elapsed: () => millis(elapsed),
    pause,
    randomBytes,
    uuid,
  });

  return {
    ...clockWith(0),
    async advance(ms) {
      const target = elapsed + ms;
      await settled();
      for (;;) {
        const next = waiting.reduce<Pending | null>(
          (first, one) => (one.at <= target && (first === null || comesBefore(one, first)) ? one : first),
          null,
        );
        if (next === null) break;
        elapsed = Math.max(elapsed, next.at);
        next.end();
        await settled();
      }
      elapsed = target;
    },
    step: (ms) => (wall += ms),
    skewed: clockWith,
    get pending() {
      return waiting.length;
    },
  };
}

function comesBefore(a: Pending, b: Pending): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
