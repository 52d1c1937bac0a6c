import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from '../local/build.ts';
import type { Bench } from './bench.ts';
import { count } from './fleet.ts';

const starts = 15;

/** What the app needs to start as it does in Azure; nothing answers at these addresses, and nothing is asked before the first request. */
const settings = {
  KEYBROKER_TENANT_ID: randomUUID(),
  KEYBROKER_AUDIENCE: 'api://key-operations-broker',
  KEYBROKER_STORE_CONNECTION_STRING:
    'DefaultEndpointsProtocol=http;AccountName=none;AccountKey=bm9uZQ==;TableEndpoint=http://127.0.0.1:9/none;',
};

/** Loading of the bundle in a fresh process. */
export const coldstart: Bench = async () => {
  const bundle = await build();
  const script = join(import.meta.dirname, 'coldstart-load.ts');
  const run = promisify(execFile);
  const times: number[] = [];
  for (const start of count(starts + 1)) {
    const { stdout } = await run(process.execPath, [script, bundle], { env: { PATH: process.env['PATH'] ?? '', ...settings } });
    // The first one reads the files into the machine's cache.
    if (start > 0) times.push(Number(stdout.trim().split('\n').at(-1)));
  }
  return [{ bench: 'coldstart', figure: 'app load', unit: 'ms', runs: times, target: { atMost: 80 } }];
};
