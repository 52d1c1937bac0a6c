import { millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import type { Clock } from '../ports/clock.ts';
import type { Permissions } from '../ports/permissions.ts';
import type { Identities } from './identity.ts';
import { readJson } from './json.ts';

export interface PermissionsOptions {
  readonly clock: Clock;
  readonly identities: Identities;
  /** Origin of Azure Resource Manager; null: it may not be read, and every answer is null. */
  readonly endpoint: string | null;
}

type Json = Readonly<Record<string, unknown>>;

const scope = 'https://management.azure.com/.default';
const vaultVersion = '2026-02-01';
const authorizationVersion = '2022-04-01';
const timeoutMs = millis(5000);
/** Vaults of a subscription are listed anew after so long: an audit asks for each of them. */
const rememberMs = 600_000;
/** Pages of a list that are followed. */
const mostPages = 50;

/**
 * Permissions as Azure Resource Manager tells them, read by the broker's own identity (`Microsoft.KeyVault/vaults/read`,
 * `Microsoft.Authorization/roleAssignments/read` and `roleDefinitions/read`). What a Managed HSM pool allows is kept in the pool itself: null.
 */
export function createPermissions({ clock, identities, endpoint }: PermissionsOptions): Permissions {
  const listed = new Map<string, { readonly until: number; readonly vaults: Promise<readonly Json[] | undefined> }>();

  function vaultsOf(subscription: string, origin: string): Promise<readonly Json[] | undefined> {
    const known = listed.get(subscription);
    if (known !== undefined && clock.elapsed() < known.until) return known.vaults;
    const path = `/subscriptions/${encodeURIComponent(subscription)}/providers/Microsoft.KeyVault/vaults?api-version=${vaultVersion}`;
    const vaults = list(path, origin);
    listed.set(subscription, { until: clock.elapsed() + rememberMs, vaults });
    void vaults.then((read) => {
      if (read === undefined) listed.delete(subscription);
    });
    return vaults;
  }

  async function list(path: string, origin: string): Promise<readonly Json[] | undefined> {
    const all: Json[] = [];
    let next: string | undefined = path;
    for (let page = 0; next !== undefined && page < mostPages; page += 1) {
      const body: Json | undefined = await read(next, origin);
      if (body === undefined) return undefined;
      all.push(...objects(body['value']));
      const link = body['nextLink'];
      next = typeof link === 'string' && link !== '' ? link : undefined;
    }
    return next === undefined ? all : undefined;
  }

  /** The body of a 200; undefined for anything else. No token leaves for another origin, or this machine in the clear. */
  async function read(path: string, origin: string): Promise<Json | undefined> {
    if (!URL.canParse(path, origin)) return undefined;
    const url = new URL(path, origin);
    if (url.origin !== new URL(origin).origin || (url.protocol !== 'https:' && url.hostname !== '127.0.0.1')) return undefined;
    const token = await identities.token(null, scope, timeoutMs);
    if (!token.ok) return undefined;
    try {
      const headers = { authorization: `Bearer ${token.token}` };
      const response = await fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
      const text = await response.text();
      return response.status === 200 ? readJson(text) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Object id of an identity: its tokens carry it. */
  async function objectIdOf(identity: string | null): Promise<string | undefined> {
    const token = await identities.token(identity, scope, timeoutMs);
    if (!token.ok) return undefined;
    const payload = readJson(Buffer.from(token.token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const objectId = payload?.['oid'];
    return typeof objectId === 'string' ? objectId.toLowerCase() : undefined;
  }

  async function byRoles(vaultId: string, objectId: string, origin: string): Promise<readonly string[] | null> {
    const filter = encodeURIComponent(`assignedTo('${objectId}')`);
    const path = `${vaultId}/providers/Microsoft.Authorization/roleAssignments?api-version=${authorizationVersion}&$filter=${filter}`;
    const assignments = await list(path, origin);
    if (assignments === undefined) return null;
    const roles = new Set(texts(assignments.map((one) => readObject(one['properties'])['roleDefinitionId'])));
    const granted: string[] = [];
    for (const role of roles) {
      const definition = await read(`${role}?api-version=${authorizationVersion}`, origin);
      if (definition === undefined) return null;
      granted.push(...objects(readObject(definition['properties'])['permissions']).flatMap(allowedBy));
    }
    return granted;
  }

  return {
    async granted(vault, identity) {
      if (endpoint === null || vault.kind === 'managedHsm') return null;
      const [vaults, objectId] = await Promise.all([vaultsOf(vault.subscriptionId, endpoint), objectIdOf(identity)]);
      const resource = vaults?.find((one) => isNamed(one, vault));
      const id = resource?.['id'];
      if (resource === undefined || typeof id !== 'string' || objectId === undefined) return null;
      const { enableRbacAuthorization, accessPolicies } = readObject(resource['properties']);
      if (enableRbacAuthorization === true) return byRoles(id, objectId, endpoint);
      return Array.isArray(accessPolicies) ? objects(accessPolicies).flatMap((policy) => allowedTo(objectId, policy)) : null;
    },
  };
}

/** The vault's name in Azure is the first label of its host. */
function isNamed(resource: Json, { uri }: Vault): boolean {
  const [label = ''] = new URL(uri).hostname.split('.');
  const name = resource['name'];
  return typeof name === 'string' && name.toLowerCase() === label.toLowerCase();
}

/** What one access policy allows, e.g. `keys/get`, if it is of this identity. */
function allowedTo(objectId: string, policy: Json): readonly string[] {
  const of = policy['objectId'];
  if (typeof of !== 'string' || of.toLowerCase() !== objectId) return [];
  return Object.entries(readObject(policy['permissions'])).flatMap(([kind, allowed]) =>
    texts(Array.isArray(allowed) ? allowed : []).map((permission) => `${kind}/${permission}`),
  );
}

/** What one permission of a role allows, less what it takes back by the same name. */
function allowedBy(permission: Json): readonly string[] {
  const all = (name: string): readonly string[] => {
    const value = permission[name];
    return texts(Array.isArray(value) ? value : []);
  };
  const back = new Set([...all('notActions'), ...all('notDataActions')]);
  return [...all('actions'), ...all('dataActions')].filter((one) => !back.has(one));
}

function objects(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(readObject) : [];
}

function readObject(value: unknown): Json {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

function texts(values: readonly unknown[]): readonly string[] {
  return values.filter((value) => typeof value === 'string');
}
