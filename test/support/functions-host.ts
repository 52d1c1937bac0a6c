import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from '../local/build.ts';

const local = resolve(import.meta.dirname, '../local');

export interface HostProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** Everything that the process has written. */
  output(): string;
  stop(): Promise<void>;
}

export interface FixtureOptions {
  /** TypeScript file that registers the functions. */
  readonly entry: string;
  readonly hostJson: object;
  readonly env?: Readonly<Record<string, string>>;
}

/** Bundles a fixture app into a new directory with its package.json and host.json; returns the directory, which the caller removes. */
export async function buildFixture({ entry, hostJson }: FixtureOptions): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'functions-host-'));
  await build(entry, join(directory, 'main.cjs'));
  await writeFile(join(directory, 'package.json'), JSON.stringify({ main: '{main,other}.cjs' }));
  await writeFile(join(directory, 'host.json'), JSON.stringify(hostJson));
  return directory;
}

/** Runs a fixture app in a local Functions host of its own. Rejects with the host's reason if it does not start. */
export async function startFixture(options: FixtureOptions): Promise<HostProcess> {
  const directory = await buildFixture(options);
  const child = fork(join(local, 'functions-host/main.ts'), ['--port', '0', '--app', directory], {
    execArgv: ['--import', join(local, 'preload.ts')],
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const [message] = (await once(child, 'message')) as [{ ready?: string; failed?: string }];
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
    await rm(directory, { recursive: true, force: true });
  };
  if (message.ready === undefined) {
    await stop();
    throw new Error(message.failed ?? output);
  }
  return { url: message.ready, child, output: () => output, stop };
}
