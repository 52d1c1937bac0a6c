import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdmin } from './admin.ts';
import { loadApp } from './app.ts';
import type { RegisteredFunction } from './core.ts';
import { createFront } from './http.ts';
import { invoke } from './invoke.ts';
import { describeError } from './log.ts';
import type { Log } from './log.ts';
import { createRouter } from './router.ts';
import type { InvocationRequest } from './seam.ts';
import { readHostSettings } from './settings.ts';
import { machineClock, startTimers } from './timers.ts';

export interface Host {
  /** `http://127.0.0.1:{port}` */
  readonly url: string;
  /** Takes no more requests, lets those under way end, then runs the app's termination hooks; both are bounded in time. */
  stop(): Promise<void>;
}

export interface HostOptions {
  /** Absolute path of the app's root: package.json, host.json. */
  readonly directory: string;
  /** 0: any free one. */
  readonly port: number;
  readonly log: Log;
}

/** How long requests under way may take to end at a stop. */
const drainMs = 10_000;
/** The worker's grace for termination hooks (facts 1.5). */
const terminateMs = 5_000;

/** A local Functions host for one Node app, on loopback. One a process: the app's registrations and the patched `require` are global. */
export async function startHost({ directory, port, log }: HostOptions): Promise<Host> {
  const settings = readHostSettings(directory);
  const app = await loadApp(directory, log);
  const functions = app.core.functions;
  const router = createRouter(functions.values(), settings.routePrefix);

  const run = async (target: RegisteredFunction, request: InvocationRequest): Promise<void> => {
    try {
      await invoke(app, target, request, log);
    } catch (error) {
      log('error', target.metadata.name, `Executed (Failed): ${describeError(error)}`);
    }
  };
  const timers = startTimers({ functions: functions.values(), settings: process.env, clock: machineClock, run });
  const errors = [...router.errors, ...timers.errors];
  for (const error of errors) log('error', 'host', `function not loaded: ${error}`);

  const admin = createAdmin({ functions, errors, run, log });
  const front = createFront({ app, router, settings, log, admin });
  await listen(front, port);
  const url = `http://127.0.0.1:${String((front.address() as AddressInfo).port)}`;
  log('information', 'host', `${String(functions.size - errors.length)} functions on ${url}, streaming ${app.streaming ? 'on' : 'off'}`);
  return {
    url,
    async stop() {
      timers.stop();
      await within(drainMs, close(front));
      await within(terminateMs, app.core.runHooks('appTerminate', { hookData: {} })).catch((error: unknown) => {
        log('error', 'host', `appTerminate: ${describeError(error)}`);
      });
    },
  };
}

async function listen(server: http.Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

/** Ends when the last request has been answered: connections that are kept alive are closed as they fall idle. */
async function close(server: http.Server): Promise<void> {
  const sweep = setInterval(() => server.closeIdleConnections(), 20);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearInterval(sweep);
}

/** Ends with `work`, or after `ms`. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}
