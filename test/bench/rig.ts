import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startChild } from './child.ts';
import type { Child } from './child.ts';
import { startBroker } from '../local/broker-process.ts';
import type { BrokerProcess } from '../local/broker-process.ts';
import { build } from '../local/build.ts';
import type { Broker } from '../local/brokers.ts';
import { startEnvironment } from '../local/environment.ts';
import type { Environment } from '../local/environment.ts';
import type { HttpJob } from './load/http.ts';
import type { Outcome } from './load/pace.ts';
import type { SdkJob } from './load/sdk.ts';

/**
 * Settings that take the rate budget out of a measurement of something else. The points are raised; the service's own limits do not hold
 * for Managed HSM vaults, which do not throttle (facts, key-vault-behaviour 3.6), so such benches use these.
 */
export const raisedBudgets = { KEYBROKER_RATE_POINTS: '1000000' } as const;

/** Settings of an instance that registers a fleet: proving keys is probing, so half of the budget is for that. */
export const registering = {
  ...raisedBudgets,
  KEYBROKER_ASSOCIATION_POINTS: '1000000',
  KEYBROKER_SERVICE_SHARE: '1',
  KEYBROKER_PROBE_SHARE: '0.5',
} as const;

/** Environment of a broker that profiles itself. */
export function profiling(directory: string | undefined): Record<string, string> {
  return directory === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${resolve(directory)}` };
}

/** An environment with processes beside it that make load; all of it ends together. */
export interface Rig {
  readonly environment: Environment;
  /** Requests to brokers, or to anything else that speaks HTTP. */
  http(job: HttpJob): Promise<Outcome>;
  /** Calls to vaults with the stock SDK. */
  sdk(job: SdkJob): Promise<Outcome>;
  /** One more process of this folder, with the world of a broker in its environment. */
  child(script: string): Promise<Child>;
  /** Another app in the broker's place, in a local Functions host of its own: `script` of this folder, bundled. */
  app(script: string): Promise<BrokerProcess>;
  stop(): Promise<void>;
}

/** @param settings of the brokers */
export async function startRig(settings: Readonly<Record<string, string>> = {}): Promise<Rig> {
  const environment = await startEnvironment({ seed: false, settings });
  const { ca, nameServer, identity } = environment;
  const world = {
    NODE_EXTRA_CA_CERTS: ca,
    LOCAL_NAME_SERVER: nameServer,
    IDENTITY_ENDPOINT: identity.url,
    IDENTITY_HEADER: identity.header,
  };
  const children = new Map<string, Promise<Child>>();
  const child = (script: string): Promise<Child> => {
    const known = children.get(script) ?? startChild(script, world);
    children.set(script, known);
    return known;
  };
  const apps: { readonly process: BrokerProcess; readonly directory: string }[] = [];
  return {
    environment,
    http: async (job) => (await child('load/http.ts')).do(job),
    sdk: async (job) => (await child('load/sdk.ts')).do(job),
    child,
    async app(script) {
      const directory = await mkdtemp(join(tmpdir(), 'key-operations-bench-'));
      await build(join(import.meta.dirname, script), join(directory, 'main.cjs'));
      await writeFile(join(directory, 'package.json'), JSON.stringify({ main: 'main.cjs' }));
      await copyFile(join(import.meta.dirname, '../../host.json'), join(directory, 'host.json'));
      const process = await startBroker({ directory, port: 0, env: world, onLine: () => undefined });
      apps.push({ process, directory });
      return process;
    },
    async stop() {
      for (const { process, directory } of apps) {
        await process.stop();
        await rm(directory, { recursive: true });
      }
      for (const one of children.values()) await one.then((started) => started.stop());
      await environment.stop();
    },
  };
}

/** Runs `work` with a rig and ends the rig, however that went. */
export async function withRig<T>(settings: Readonly<Record<string, string>>, work: (rig: Rig) => Promise<T>): Promise<T> {
  const rig = await startRig(settings);
  try {
    return await work(rig);
  } finally {
    await rig.stop();
  }
}

/** The instance that runs from the start. */
export function firstBroker({ environment }: Rig): Broker {
  const [broker] = environment.brokers.list();
  if (!broker) throw new Error('no broker runs');
  return broker;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
