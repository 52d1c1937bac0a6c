import { randomBytes, randomUUID } from 'node:crypto';
import { callerToken, hostToken } from '../local/callers.ts';
import type { Environment } from '../local/environment.ts';
import type { FleetVault } from '../local/vault/fleet.ts';
import type { KeySize } from '../local/vault/key-material.ts';
import type { Shot } from './load/http.ts';
import { pause, registering } from './rig.ts';
import type { Rig } from './rig.ts';

/** A database of the fleet with a DEK of its own, wrapped. */
export interface Database {
  readonly server: string;
  readonly name: string;
  /** Token of its server's host. */
  readonly token: string;
  readonly keyId: string;
  readonly thumbprint: string;
  readonly dek: string;
  readonly wrappedDek: string;
}

export interface Key {
  readonly keyId: string;
  /** The same material in the other region, if there is one. */
  readonly standbyKeyId: string | undefined;
}

/** Servers that share a key, each with so many databases of one tier. */
export interface ServersWish {
  readonly prefix: string;
  readonly servers: number;
  readonly databases: number;
  readonly tier: 'GeneralPurpose' | 'BusinessCritical';
  readonly key: Key;
}

/** Registers through a broker, as operators and hosts would. */
export interface Registrar {
  vault(vault: FleetVault): Promise<void>;
  /** Registers, and wraps a DEK for each database. */
  servers(wish: ServersWish): Promise<Database[]>;
}

const atOnce = 8;
const mostTries = 60;

export function createRegistrar({ issuer }: Environment, broker: string): Registrar {
  const operator = callerToken(issuer, { roles: ['KeyBroker.Operator'] });
  const subscriptionId = randomUUID();

  async function call<T>(method: string, path: string, token: string, body: object): Promise<T> {
    const response = await fetch(`${broker}/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  async function register({ prefix, databases, tier, key }: ServersWish, number: number): Promise<Database[]> {
    const server = `${prefix}-${number}`;
    const principalId = randomUUID();
    const token = hostToken(issuer, principalId);
    const { keyId, standbyKeyId } = key;
    await call('PUT', `servers/${server}`, operator, { engine: 'sql', region: 'westeurope', principalId, defaultTier: tier });
    const standbyKeyIds = standbyKeyId === undefined ? [] : [standbyKeyId];
    await patiently(() => call('PUT', `servers/${server}/protector`, operator, { keyId, standbyKeyIds }));
    return eachOf(count(databases), 1, async (index): Promise<Database> => {
      const name = `db-${index}`;
      const path = `servers/${server}/databases/${name}`;
      await call('PUT', path, operator, { tier });
      const dek = randomBytes(32).toString('base64url');
      const { wrappedDek, thumbprint } = await call<{ wrappedDek: string; thumbprint: string }>('POST', `${path}/wrap`, token, { dek });
      return { server, name, token, keyId, thumbprint, dek, wrappedDek };
    });
  }

  return {
    async vault({ spec, uri }) {
      const { kind, region, geography } = spec;
      await call('PUT', `vaults/${spec.name}`, operator, { uri, kind, region, geography, subscriptionId });
    },
    async servers(wish) {
      return (await eachOf(count(wish.servers), atOnce, (number) => register(wish, number))).flat();
    },
  };
}

/** Tries again where the budget for probes was used up at that moment: fleets are registered in one go here. */
async function patiently(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (tries === mostTries - 1 || !String(error).includes('KeyUnreachable')) throw error;
      await pause(1000);
    }
  }
}

/** A key in a vault, and its copy in another. */
export async function createKey(
  shape: { readonly size: KeySize; readonly hsm: boolean },
  vault: FleetVault,
  standby?: FleetVault,
): Promise<Key> {
  const name = `tde-${randomUUID()}`;
  const { keyId } = await vault.createKey(name, shape);
  return { keyId, standbyKeyId: standby && vault.copyKey(name, standby).keyId };
}

/** One more vault in the first region. A Managed HSM does not throttle. */
export function addVault({ fleet, issuer }: Environment, name: string, kind: 'vault' | 'managedHsm' = 'vault'): Promise<FleetVault> {
  return fleet.addVault({ name, kind, region: 'westeurope', geography: 'Europe', tenant: issuer.tenant });
}

/** Registers through an instance of its own, which is gone afterwards, so that the measured ones have done nothing yet. */
export async function registered<T>({ environment }: Rig, work: (registrar: Registrar) => Promise<T>): Promise<T> {
  const broker = await environment.brokers.start(registering);
  try {
    return await work(createRegistrar(environment, broker.url));
  } finally {
    await broker.stop();
  }
}

/** 100 GP databases of 10 servers on one RSA-2048 key in a vault that does not throttle: so many that no two unwraps in flight are the same. */
export async function unthrottledFleet(rig: Rig): Promise<Database[]> {
  const hsm = await addVault(rig.environment, 'hsm-west', 'managedHsm');
  const key = await createKey({ size: 2048, hsm: true }, hsm);
  return registered(rig, async (registrar) => {
    await registrar.vault(hsm);
    return registrar.servers({ prefix: 'sql', servers: 10, databases: 10, tier: 'GeneralPurpose', key });
  });
}

export function unwrapShot(broker: string, { server, name, token, wrappedDek, thumbprint }: Database): Shot {
  return shot(`${broker}/v1/servers/${server}/databases/${name}/unwrap`, token, { wrappedDek, thumbprint });
}

export function wrapShot(broker: string, { server, name, token, dek }: Database): Shot {
  return shot(`${broker}/v1/servers/${server}/databases/${name}/wrap`, token, { dek });
}

export function shot(url: string, token: string, body: object): Shot {
  return { url, headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(body) };
}

/** Works on all items, `width` of them at once; the results are in the order of the items. */
export async function eachOf<T, R>(items: readonly T[], width: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}

/** The numbers from 0 to below `n`. */
export function count(n: number): number[] {
  return Array.from({ length: n }, (_, index) => index);
}
