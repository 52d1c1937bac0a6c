import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const load = join(import.meta.dirname, '../support/young-generation-load.ts');

async function grownTo(how: 'bound' | 'free'): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [load, how]);
  return Number(stdout);
}

test('the young generation ends its growth at 32 MiB, which it would not by itself', async () => {
  const [bound, free] = await Promise.all([grownTo('bound'), grownTo('free')]);
  expect(bound).toBe(32);
  expect(free).toBeGreaterThan(32);
});
