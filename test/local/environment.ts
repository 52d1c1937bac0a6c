import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createBrokers } from './brokers.ts';
import type { Brokers } from './brokers.ts';
import { build } from './build.ts';
import { brokerAudience } from './callers.ts';
import type { KnownServer } from './callers.ts';
import { createClock } from './clock.ts';
import type { EnvironmentClock } from './clock.ts';
import { serveControl } from './control.ts';
import { startControlPlane } from './control-plane.ts';
import { startIdentityEndpoint } from './identity.ts';
import type { Identity, IdentityEndpoint } from './identity.ts';
import { startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import { startNameServer } from './names.ts';
import { addFirstVaults, seedFleet } from './seed.ts';
import { startStorage } from './storage.ts';
import type { Storage, StoragePorts } from './storage.ts';
import { createFleet } from './vault/fleet.ts';
import type { Fleet } from './vault/fleet.ts';

/** Where the environment listens, always on loopback; 0: any free port. */
export interface EnvironmentPorts extends StoragePorts {
  readonly control: number;
  /** Of the first broker instance; the next ones follow it. */
  readonly broker: number;
}

export interface EnvironmentOptions {
  /** Default: free ports. */
  readonly ports?: EnvironmentPorts;
  /** Broker instances at the start; default 1. */
  readonly instances?: number;
  /** Whether the fleet of `seed.ts` is registered; default true. */
  readonly seed?: boolean;
  /** Environment variables of the brokers besides those that the environment itself sets, which they override. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Root of another app that stands in for the broker; it is not built. */
  readonly directory?: string;
  /** Receives each line that a broker writes; default: nobody. */
  readonly onLine?: (line: string) => void;
}

/** All that runs. */
export interface Parts {
  readonly clock: EnvironmentClock;
  readonly issuer: Issuer;
  readonly identities: readonly Identity[];
  readonly identity: IdentityEndpoint;
  readonly storage: Storage;
  readonly fleet: Fleet;
  /** Address of the name server, `127.0.0.1:{port}`. */
  readonly nameServer: string;
  /** Path of the certificate authority's file. */
  readonly ca: string;
  readonly brokers: Brokers;
  /** Environment variables that every broker is given. */
  readonly env: Readonly<Record<string, string>>;
  /** The servers of the seeded fleet. */
  readonly servers: readonly KnownServer[];
}

export interface Environment extends Parts {
  /** URL of the control API. */
  readonly control: string;
  /** Ends all of it. */
  stop(): Promise<void>;
}

const freePorts: EnvironmentPorts = { control: 0, broker: 0, blob: 0, queue: 0, table: 0 };
const identityCount = 4;

/** Starts the whole environment; resolves when every part is ready. What had started is ended again if a part fails. */
export async function startEnvironment(options: EnvironmentOptions = {}): Promise<Environment> {
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (let end = ends.pop(); end; end = ends.pop()) await end();
  };
  try {
    const { ports = freePorts, instances = 1 } = options;
    // Before anything is started: a build that failed beside the start would leave behind what starts after it.
    if (options.directory === undefined) await build();
    const world = await startWorld(ports, ends);
    const brokers = createBrokers({
      directory: options.directory ?? resolve(import.meta.dirname, '../..'),
      firstPort: ports.broker,
      storage: world.storage,
      clock: world.clock,
      env: { ...world.env, ...options.settings },
      onLine: options.onLine ?? (() => undefined),
    });
    ends.push(() => brokers.stop());
    const first = await brokers.start();
    await Promise.all(Array.from({ length: instances - 1 }, () => brokers.start()));
    const { issuer, west, north } = world;
    const mysqlIdentity = world.identities[1];
    const seed = options.seed !== false && mysqlIdentity ? seedFleet({ broker: first.url, issuer, west, north, mysqlIdentity }) : [];
    const servers = await seed;
    // The lists of calls begin with what people do.
    for (const vault of [west, north]) vault.clearCalls();
    const parts: Parts = { ...world, brokers, servers };
    const control = await serveControl(parts, ports.control);
    ends.push(() => control.close());
    return { ...parts, control: control.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Everything that surrounds the brokers. Pushes to `ends` how each part is ended. */
async function startWorld(ports: StoragePorts, ends: (() => Promise<unknown>)[]) {
  const tenant = randomUUID();
  const clock = createClock();
  const storage = await startStorage(ports);
  ends.push(() => storage.stop());
  const issuer = await startIssuer(tenant, clock);
  ends.push(() => issuer.close());
  const identities = Array.from({ length: identityCount }, () => ({ clientId: randomUUID(), principalId: randomUUID() }));
  const identity = await startIdentityEndpoint({ issuer, clock, identities });
  ends.push(() => identity.close());
  const names = await startNameServer();
  ends.push(() => names.close());
  const fleet = createFleet({ clock: () => clock.now(), verifyToken: (token) => issuer.verify(token), authority: issuer.origin, names });
  ends.push(() => fleet.close());
  const vaults = await addFirstVaults(fleet, tenant);
  const controlPlane = await startControlPlane({
    issuer,
    clock,
    vaults: () => fleet.vaults().map(({ spec, deletedAt }) => ({ ...spec, deletedAt: deletedAt ?? null })),
  });
  ends.push(() => controlPlane.close());
  const directory = await mkdtemp(join(tmpdir(), 'key-operations-broker-'));
  ends.push(() => rm(directory, { recursive: true, force: true }));
  const ca = join(directory, 'ca.pem');
  await writeFile(ca, fleet.ca);

  const env = {
    NODE_EXTRA_CA_CERTS: ca,
    LOCAL_NAME_SERVER: names.address,
    IDENTITY_ENDPOINT: identity.url,
    IDENTITY_HEADER: identity.header,
    KEYBROKER_DEPLOYMENT: 'urn:keybroker:local',
    KEYBROKER_TENANT_ID: tenant,
    KEYBROKER_ISSUER: issuer.issuer,
    KEYBROKER_AUDIENCE: brokerAudience,
    KEYBROKER_VAULT_HOST_SUFFIXES: '.vault.localhost:*,.managedhsm.localhost:*',
    KEYBROKER_RESOLVERS: names.address,
    KEYBROKER_CONTROL_PLANE_ENDPOINT: controlPlane.url,
  };
  return { clock, storage, issuer, identities, identity, fleet, ...vaults, nameServer: names.address, ca, env };
}
