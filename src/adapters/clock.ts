import { randomBytes, randomFillSync, randomUUID } from 'node:crypto';
import { instant, millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';

/** Longest delay that a Node timer takes; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** A small draw costs the system as much as a large one, and each request draws some bytes: so they are drawn in blocks. */
const block = Buffer.alloc(4096);
let used = block.length;

/** Bytes that are given out once, and forgotten here. */
function drawBytes(size: number): Uint8Array {
  if (size > block.length) return randomBytes(size);
  if (used + size > block.length) {
    randomFillSync(block);
    used = 0;
  }
  const drawn = new Uint8Array(block.subarray(used, used + size));
  block.fill(0, used, used + size);
  used += size;
  return drawn;
}

/** The platform's clock, timers and randomness. */
export const systemClock: Clock = {
  now: () => instant(Date.now()),
  elapsed: () => millis(performance.now()),
  pause(span, signal) {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, Math.min(span, longestTimerMs));
      signal?.addEventListener('abort', end);
    });
  },
  randomBytes: drawBytes,
  uuid: () => randomUUID(),
};
