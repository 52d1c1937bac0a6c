import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Ports of the three endpoints of Azurite; 0: any free one. */
export interface StoragePorts {
  readonly blob: number;
  readonly queue: number;
  readonly table: number;
}

/** Azurite, Microsoft's storage emulator, as a process; what it keeps is gone when it ends. */
export interface Storage {
  readonly ports: StoragePorts;
  /** Connection string of the emulator's account, with the tables at another port if one is given. */
  connectionString(tablePort?: number): string;
  stop(): Promise<void>;
}

/** The emulator's well-known account: the same on every machine, no secret. */
const account = 'devstoreaccount1';
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Starts Azurite on loopback, in memory. It checks signatures, but not how old they are, so that a moved clock of its clients is no
 * matter to it.
 */
export async function startStorage(ports: StoragePorts): Promise<Storage> {
  const script = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  const services = (['blob', 'queue', 'table'] as const).flatMap((name) => [
    `--${name}Host`,
    '127.0.0.1',
    `--${name}Port`,
    String(ports[name]),
  ]);
  const flags = ['--inMemoryPersistence', '--silent', '--disableTelemetry', '--skipApiVersionCheck'];
  const child = fork(script, [...flags, ...services], {
    execArgv: ['--import', join(import.meta.dirname, 'lifeline.ts')],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Its own process group: Ctrl-C reaches only the parent, which stops the brokers before their store.
    detached: true,
  });
  const bound = await listeningPorts(child);
  return {
    ports: bound,
    connectionString(tablePort = bound.table) {
      const endpoint = (name: string, port: number): string => `${name}Endpoint=http://127.0.0.1:${String(port)}/${account};`;
      const endpoints = endpoint('Blob', bound.blob) + endpoint('Queue', bound.queue) + endpoint('Table', tablePort);
      return `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${accountKey};${endpoints}`;
    },
    stop: () => end(child),
  };
}

/** Reads from Azurite's own words where it listens. Rejects with its last words if it ends before. */
function listeningPorts(child: ChildProcess): Promise<StoragePorts> {
  const words: string[] = [];
  const found = new Map<string, number>();
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`Azurite ended: ${words.slice(-3).join(' ')}`)));
    child.stderr?.on('data', (chunk: Buffer) => words.push(chunk.toString().trim()));
    if (!child.stdout) return;
    createInterface(child.stdout).on('line', (line) => {
      words.push(line);
      const parts = /Azurite (\w+) service is successfully listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
      if (parts?.[1] !== undefined) found.set(parts[1], Number(parts[2]));
      const [blob, queue, table] = [found.get('Blob'), found.get('Queue'), found.get('Table')];
      if (blob !== undefined && queue !== undefined && table !== undefined) resolve({ blob, queue, table });
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
