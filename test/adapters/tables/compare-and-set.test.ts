import { setTimeout } from 'node:timers/promises';
import { beforeEach, expect, test, vi } from 'vitest';
import { compareAndSet } from '../../../src/adapters/tables/compare-and-set.ts';
import type { Table, Write } from '../../../src/adapters/tables/table.ts';

// The platform's timers, so that no test waits.
vi.mock('node:timers/promises', () => ({ setTimeout: vi.fn(() => Promise.resolve()) }));
const paused = vi.mocked(setTimeout);
beforeEach(() => void paused.mockClear());

const write: Write = { kind: 'put', row: { partition: 'p', row: 'r', columns: {} } };

/** Loses so many tries. @returns the pauses between them, in milliseconds. */
async function pausesAfter(losses: number): Promise<readonly number[]> {
  paused.mockClear();
  let lost = 0;
  const table = { write: () => Promise.resolve((lost += 1) > losses) } as unknown as Table;
  expect(await compareAndSet(table, () => Promise.resolve({ result: 'stored', writes: [write] }))).toBe('stored');
  return paused.mock.calls.map(([ms]) => ms ?? NaN);
}

test('a first try that is stored pauses nobody', async () => {
  expect(await pausesAfter(0)).toEqual([]);
});

test('a try that was lost to another instance is followed by a pause below 4 ms, then 8, 16, 32, at most 64', async () => {
  for (let run = 0; run < 50; run += 1) {
    const pauses = await pausesAfter(7);
    expect(pauses).toHaveLength(7);
    for (const [i, bound] of [4, 8, 16, 32, 64, 64, 64].entries()) expect(pauses[i]).toBeLessThan(bound);
  }
});

test('the pauses are of random length: two instances that try at the same pace part soon', async () => {
  const one = await pausesAfter(20);
  const other = await pausesAfter(20);
  expect(one).not.toEqual(other);
});
