import { randomUUID } from 'node:crypto';
import { callerToken } from './callers.ts';
import type { KnownServer } from './callers.ts';
import type { Identity } from './identity.ts';
import type { Issuer } from './issuer.ts';
import type { Fleet, FleetVault } from './vault/fleet.ts';

interface SeedParts {
  /** URL of a broker. */
  readonly broker: string;
  readonly issuer: Issuer;
  /** The vaults of the two regions. */
  readonly west: FleetVault;
  readonly north: FleetVault;
  /** The managed identity with which the broker calls the vaults for `mysql-demo`. */
  readonly mysqlIdentity: Identity;
}

/** The two vaults with which the environment starts. */
export async function addFirstVaults(fleet: Fleet, tenant: string): Promise<{ west: FleetVault; north: FleetVault }> {
  const west = await fleet.addVault({ name: 'kv-west', region: 'westeurope', geography: 'Europe', tenant });
  const north = await fleet.addVault({ name: 'kv-north', region: 'northeurope', geography: 'Europe', tenant });
  return { west, north };
}

/**
 * Registers a small fleet through the broker's own API, as an operator would: a SQL server with a database of each tier, and a MySQL
 * server whose keys are used under an identity of its own; the keys of both have a standby in the other region.
 *
 * @throws with the broker's answer, if it refuses anything
 */
export async function seedFleet({ broker, issuer, west, north, mysqlIdentity }: SeedParts): Promise<KnownServer[]> {
  const token = callerToken(issuer, { roles: ['KeyBroker.Operator'] });
  const put = async (path: string, body: object): Promise<void> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(`${broker}/v1/${path}`, { method: 'PUT', headers, body: JSON.stringify(body) });
    if (!response.ok)
      throw new Error(`the fleet could not be registered: PUT ${path}: ${String(response.status)} ${await response.text()}`);
  };
  const linkKey = async (server: string, key: string): Promise<void> => {
    const { keyId } = await west.createKey(key, { size: 2048, hsm: true });
    const standby = west.copyKey(key, north);
    await put(`servers/${server}/protector`, { keyId, standbyKeyIds: [standby.keyId] });
  };

  const subscriptionId = randomUUID();
  for (const { spec, uri } of [west, north]) {
    await put(`vaults/${spec.name}`, { uri, region: spec.region, geography: spec.geography, subscriptionId });
  }
  const sql = { name: 'sql-demo', principalId: randomUUID() };
  await put('servers/sql-demo', { engine: 'sql', region: 'westeurope', principalId: sql.principalId });
  await linkKey('sql-demo', 'tde-key');
  await put('servers/sql-demo/databases/orders', { tier: 'GeneralPurpose' });
  await put('servers/sql-demo/databases/ledger', { tier: 'BusinessCritical' });

  const mysql = { name: 'mysql-demo', principalId: randomUUID() };
  const { clientId: identityClientId } = mysqlIdentity;
  await put('servers/mysql-demo', { engine: 'mysql', region: 'westeurope', principalId: mysql.principalId, identityClientId });
  await linkKey('mysql-demo', 'mysql-key');
  await put('servers/mysql-demo/databases/shop', { tier: 'GeneralPurpose' });
  return [sql, mysql];
}
