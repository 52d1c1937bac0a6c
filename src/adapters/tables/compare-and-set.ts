import { randomInt } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { StoreAway } from '../../ports/store.ts';
import type { Table, Write } from './table.ts';

/** What one look at the store led to: the result if `writes` are stored. No writes: nothing changes, the result stands. */
export interface Step<T> {
  readonly result: T;
  readonly writes: readonly Write[];
}

/** How often a change is tried. Each failed try means that another instance's change was stored; an instance's own take turns. */
const tries = 50;

/**
 * The longest pause after a lost try, in milliseconds. Two instances that try at the same pace can go on in lock-step for long, the same one
 * losing each time; pauses of random length part them.
 */
const longestPauseMs = 64;

function pauseAfter(attempt: number): Promise<void> {
  return setTimeout(randomInt(Math.min(longestPauseMs, 4 * 2 ** Math.min(attempt, 8))));
}

/**
 * The one compare-and-set loop of the program. `step` reads, decides and answers writes that are conditional on what it read:
 *
 *   read v1 ── decide ── write if still v1 ── stored: done
 *                          └── another wrote v2 first: nothing was written; read v2 and decide anew
 */
export async function compareAndSet<T>(table: Table, step: () => Promise<Step<T>>): Promise<T> {
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const { result, writes } = await step();
    if (writes.length === 0 || (await table.write(writes))) return result;
    await pauseAfter(attempt);
  }
  throw new StoreAway(`gave up after ${tries} changes of others came first`);
}
