import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A broker instance: a process of its own with a local Functions host and the app in it. */
export interface BrokerProcess {
  readonly url: string;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Moves its wall clock; resolves when that is in force, or the process has ended. */
  setClock(offsetMs: number): Promise<void>;
  /** As `kill -9`. */
  kill(): Promise<void>;
  /** By SIGTERM: requests under way end, termination hooks run. */
  stop(): Promise<void>;
}

export interface BrokerOptions {
  /** Root of the app. */
  readonly directory: string;
  /** 0: any free one. */
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** Receives each line that the process writes. */
  readonly onLine: (line: string) => void;
}

/** How long an instance may take to become ready. */
const readyWithinMs = 30_000;

/** Starts an instance and waits until it says that it is ready. Rejects with what it says is missing. */
export async function startBroker(options: BrokerOptions): Promise<BrokerProcess> {
  const local = import.meta.dirname;
  const child = fork(join(local, 'functions-host/main.ts'), ['--port', String(options.port), '--app', options.directory], {
    execArgv: ['--import', join(local, 'preload.ts')],
    env: { ...machineEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  for (const stream of [child.stdout, child.stderr]) if (stream) createInterface(stream).on('line', options.onLine);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const signal = async (name: NodeJS.Signals): Promise<void> => {
    child.kill(name);
    await ended;
  };
  const url = await hostUrl(child);
  const broker: BrokerProcess = {
    url,
    pid: child.pid ?? 0,
    ended,
    setClock: (offsetMs) => Promise.race([moveClock(child, offsetMs), ended]),
    kill: () => signal('SIGKILL'),
    stop: () => signal('SIGTERM'),
  };
  try {
    await untilReady(url);
  } catch (error) {
    await broker.kill();
    throw error;
  }
  return broker;
}

/** What every process needs of the machine; nothing of Azure or of the broker that happens to be set in this shell. */
function machineEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'SystemRoot'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

function hostUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the broker ended with code ${String(code)} before it was ready`)));
    child.on('message', (message: { ready?: string; failed?: string }) => {
      if (message.ready !== undefined) resolve(message.ready);
      if (message.failed !== undefined) reject(new Error(`the broker does not start: ${message.failed}`));
    });
  });
}

function moveClock(child: ChildProcess, offsetMs: number): Promise<void> {
  return new Promise((resolve) => {
    const listen = (message: { clockOffsetMs?: number }): void => {
      if (message.clockOffsetMs !== offsetMs) return;
      child.off('message', listen);
      resolve();
    };
    child.on('message', listen);
    child.send({ clockOffsetMs: offsetMs }, () => undefined);
  });
}

async function untilReady(url: string): Promise<void> {
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    const response = await fetch(`${url}/readyz`);
    const body = await response.text();
    if (response.ok) return;
    if (performance.now() > deadline) throw new Error(`the broker is not ready: ${String(response.status)} ${body}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
