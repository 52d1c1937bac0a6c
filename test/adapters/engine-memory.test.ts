import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const load = join(import.meta.dirname, '../support/engine-memory-load.ts');

async function grownTo(how: 'bound' | 'free'): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-semi-space-size=1', load, how]);
  return Number(stdout);
}

test('the engine takes the flag: its old generation ends its growth where it would not by itself', async () => {
  const [bound, free] = await Promise.all([grownTo('bound'), grownTo('free')]);
  expect(bound).toBeLessThan(0.8 * free);
});
