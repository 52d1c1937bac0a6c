import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const load = join(import.meta.dirname, '../support/engine-memory-load.ts');

interface Grown {
  readonly young: number;
  readonly old: number;
}

async function grown(how: 'bound' | 'free'): Promise<Grown> {
  const { stdout } = await promisify(execFile)(process.execPath, [load, how]);
  return JSON.parse(stdout) as Grown;
}

test('the engine takes the flags: its generations end their growth where they would not by themselves', async () => {
  const [bound, free] = await Promise.all([grown('bound'), grown('free')]);
  expect(bound.young).toBe(32);
  expect(free.young).toBeGreaterThan(32);
  expect(bound.old).toBeLessThan(free.old);
});
