import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { askAzure, startAzureIdentity } from './azure-identity.ts';
import { build } from './build.ts';
import { brokerAudience, callerToken } from './callers.ts';
import { createClock } from './clock.ts';
import { startEnvironment } from './environment.ts';
import type { EnvironmentPorts } from './environment.ts';
import { startIssuer } from './issuer.ts';
import { onParentGone } from './parent.ts';
import { startStorage } from './storage.ts';
import type { Storage, StoragePorts } from './storage.ts';

/** What the app is pointed to while `func` runs it. */
interface Surroundings {
  /** Values of `local.settings.json`: the host hands them to its worker as environment variables. */
  readonly values: Readonly<Record<string, string>>;
  /** For a person: what there is, and a first call. */
  readonly greeting: string;
  stop(): Promise<void>;
}

export interface StartFuncOptions {
  /** Root of the app: where `local.settings.json` is written and `func` is started. */
  readonly directory: string;
  /** Of the app under `func`. */
  readonly port: number;
  /** Of what surrounds it; the environment's own broker, which registers the fleet, is its second instance. */
  readonly ports: EnvironmentPorts;
  /** A vault in Azure, used with the rights of whoever is signed in at the Azure CLI; absent: the local vaults. */
  readonly vault?: string | undefined;
}

export interface RunningFunc {
  readonly child: ChildProcess;
  readonly greeting: string;
  stop(): Promise<void>;
}

/**
 * Runs the app under Azure Functions Core Tools (`func start`), surrounded by the local environment or pointed to a vault in Azure.
 * @throws if `func` is not installed, before anything is started
 */
export async function startFunc(options: StartFuncOptions): Promise<RunningFunc> {
  const { directory, port, ports, vault } = options;
  await assertInstalled();
  const surroundings = vault === undefined ? await localVaults(ports) : await vaultInAzure(vault, ports, port);
  try {
    const settings = { IsEncrypted: false, Values: surroundings.values, Host: { LocalHttpPort: port } };
    await writeFile(join(directory, 'local.settings.json'), `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o600 });
    const child = spawn('func', ['start', '--port', String(port)], { cwd: directory, stdio: 'inherit' });
    const ended = new Promise<void>((done) => {
      child.once('exit', () => done());
      child.once('error', () => done());
    });
    const stop = async (): Promise<void> => {
      child.kill('SIGTERM');
      await ended;
      await surroundings.stop();
    };
    return { child, greeting: surroundings.greeting, stop };
  } catch (error) {
    await surroundings.stop();
    throw error;
  }
}

function assertInstalled(): Promise<void> {
  return new Promise((done, reject) => {
    const probe = spawn('func', ['--version'], { stdio: 'ignore' });
    probe.once('exit', () => done());
    probe.once('error', () =>
      reject(
        new Error(
          'Azure Functions Core Tools (func) are not installed: see https://aka.ms/func-install, version 4. ' +
            'Without them, npm start runs the same build in a local Functions host.',
        ),
      ),
    );
  });
}

/** What Azure would give every app, with the host's storage at the emulator. */
function platform(storage: Storage): Record<string, string> {
  return {
    FUNCTIONS_WORKER_RUNTIME: 'node',
    AzureWebJobsStorage: storage.connectionString(),
    KEYBROKER_STORE_CONNECTION_STRING: storage.connectionString(),
  };
}

/** The local environment. Its vaults need a name server and a certificate authority, which only the worker's own process can be given. */
async function localVaults(ports: EnvironmentPorts): Promise<Surroundings> {
  const environment = await startEnvironment({ ports });
  const preload = pathToFileURL(join(import.meta.dirname, 'preload.ts')).href;
  return {
    values: { ...platform(environment.storage), ...environment.env, NODE_OPTIONS: `--import=${preload}` },
    greeting: `The local environment is ready, control API ${environment.control}. A moved clock does not reach the app under func.`,
    stop: () => environment.stop(),
  };
}

/** The local tables and token issuer, and the vault, its name and its certificate as they are in Azure. */
async function vaultInAzure(vault: string, ports: StoragePorts, port: number): Promise<Surroundings> {
  const { origin, hostname, protocol } = new URL(vault);
  if (protocol !== 'https:' || hostname.split('.').length < 4)
    throw new Error('--vault must be the address of a vault, such as https://kv-x.vault.azure.net');
  await build();
  const { id: subscription, tenantId } = await askAzure<{ id: string; tenantId: string }>('show');
  const [storage, issuer, identity] = await Promise.all([startStorage(ports), startIssuer(tenantId, createClock()), startAzureIdentity()]);
  const token = callerToken(issuer, { principalId: randomUUID(), roles: ['KeyBroker.Operator'] });
  return {
    values: {
      ...platform(storage),
      ...identity.env,
      KEYBROKER_TENANT_ID: tenantId,
      KEYBROKER_ISSUER: issuer.issuer,
      KEYBROKER_AUDIENCE: brokerAudience,
      KEYBROKER_VAULT_HOST_SUFFIXES: hostname.slice(hostname.indexOf('.')),
      // The default, that of Azure's own networks, is not reached from here; a public one knows every vault's public name.
      KEYBROKER_RESOLVERS: '1.1.1.1',
    },
    greeting: `Register the vault, with its region and geography:

curl -X PUT http://127.0.0.1:${String(port)}/v1/vaults/mine -H 'content-type: application/json' -H 'authorization: Bearer ${token}' \\
  -d '{"uri":"${origin}","region":"REGION","geography":"GEOGRAPHY","subscriptionId":"${subscription}"}'`,
    stop: async () => {
      await Promise.all([storage.stop(), issuer.close(), identity.close()]);
    },
  };
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({ options: { vault: { type: 'string' } } });
    const running = await startFunc({
      directory: resolve(import.meta.dirname, '../..'),
      port: 7071,
      ports: { control: 7070, broker: 7072, blob: 10_000, queue: 10_001, table: 10_002 },
      vault: values.vault,
    });
    const end = (): void => void running.stop().then(() => process.exit());
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end);
    onParentGone(end);
    running.child.once('exit', end);
    console.log(`\n${running.greeting}\n`);
  } catch (error) {
    console.error(`func is not started: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
