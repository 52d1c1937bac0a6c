import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startFunc } from '../local/start-func.ts';
import { request } from '../support/environment.ts';
import { untilTrue } from '../support/journeys.ts';

const root = resolve(import.meta.dirname, '../..');
const freePorts = { control: 0, broker: 0, blob: 0, queue: 0, table: 0 };

/**
 * Stands in for Core Tools: hands `Values` of local.settings.json to its worker as environment variables, as they do. The worker is a
 * process without any tie to the local environment but these variables.
 */
const func = `#!${process.execPath}
const { spawn } = require('node:child_process');
const { readFileSync } = require('node:fs');
if (process.argv[2] === '--version') process.exit(0);
const { Values } = JSON.parse(readFileSync('local.settings.json', 'utf8'));
const port = process.argv[process.argv.indexOf('--port') + 1];
const worker = spawn(process.execPath, [${JSON.stringify(join(root, 'test/local/functions-host/main.ts'))}, '--port', port, '--app', ${JSON.stringify(root)}], {
  env: { PATH: process.env.PATH, HOME: process.env.HOME, ...Values },
  stdio: 'ignore',
});
process.on('SIGTERM', () => worker.kill('SIGTERM'));
worker.on('exit', () => process.exit());
`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'start-func-'));
  await mkdir(join(directory, 'bin'));
  await writeFile(join(directory, 'bin/func'), func);
  await chmod(join(directory, 'bin/func'), 0o755);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

describe('npm run start:func', () => {
  it('says what is missing where Core Tools are not installed, and starts nothing', async () => {
    vi.stubEnv('PATH', dirname(process.execPath));
    await expect(startFunc({ directory, port: 1, ports: freePorts })).rejects.toThrow('Core Tools (func) are not installed');
    await expect(stat(join(directory, 'local.settings.json'))).rejects.toThrow('ENOENT');
  });

  it('refuses what is no address of a vault', async () => {
    vi.stubEnv('PATH', join(directory, 'bin'));
    await expect(startFunc({ directory, port: 1, ports: freePorts, vault: 'http://kv.vault.azure.net' })).rejects.toThrow('--vault');
  });

  it('writes local.settings.json, with which the same build wraps a key of the local vaults', async () => {
    vi.stubEnv('PATH', `${join(directory, 'bin')}:${dirname(process.execPath)}`);
    const port = await freePort();
    const running = await startFunc({ directory, port, ports: freePorts });
    try {
      const url = `http://127.0.0.1:${String(port)}`;
      await untilTrue('the app under func', async () => {
        const answer = await request(url, 'GET /readyz').catch(() => undefined);
        return answer?.status === 200;
      });
      const control = /http:\/\/127\.0\.0\.1:\d+/.exec(running.greeting)?.[0] ?? '';
      const { token } = (await request<{ token: string }>(control, 'POST /tokens', { body: { server: 'sql-demo' } })).body;
      const dek = Buffer.alloc(32, 7).toString('base64url');
      const wrapped = await request(url, 'POST /v1/servers/sql-demo/databases/orders/wrap', { token, body: { dek } });
      expect(wrapped).toMatchObject({ status: 200, body: { failover: false } });
    } finally {
      await running.stop();
    }
  }, 120_000);

  it('keeps what it wrote from other users of the machine, and out of the repository', async () => {
    const { mode } = await stat(join(directory, 'local.settings.json'));
    expect(mode & 0o077).toBe(0);
    expect(await readFile(join(root, '.gitignore'), 'utf8')).toMatch(/^local\.settings\.json$/m);
  });
});
