import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identities } from '../../src/adapters/identity.ts';
import { createPermissions } from '../../src/adapters/permissions.ts';
import type { Permissions } from '../../src/ports/permissions.ts';
import { aVault } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const vault = aVault();
const vaults = `/subscriptions/${vault.subscriptionId}/providers/Microsoft.KeyVault/vaults`;
const id = `/subscriptions/${vault.subscriptionId}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-west`;
const role = `/subscriptions/${vault.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/r1`;
const objectIds: Readonly<Record<string, string>> = { own: 'oid-own', 'client-a': 'oid-a' };

function tokenOf(objectId: string): string {
  return `h.${Buffer.from(JSON.stringify({ oid: objectId })).toString('base64url')}.s`;
}

const identities: Identities = {
  token: (identity) => ({ ok: true, token: tokenOf(objectIds[identity ?? 'own'] ?? '') }),
  renew: () => Promise.reject(new Error('not used')),
};

/** Bodies by path; a path that is absent answers 403. */
let bodies: Record<string, unknown>;
let seen: string[];
let endpoint: string;
let close: () => Promise<void>;
let permissions: Permissions;

beforeEach(async () => {
  bodies = {};
  seen = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://x');
    seen.push(request.url ?? '');
    const body = request.headers.authorization === `Bearer ${tokenOf('oid-own')}` ? bodies[pathname] : undefined;
    response.writeHead(body === undefined ? 403 : 200).end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  permissions = createPermissions({ clock: virtualClock(), identities, endpoint });
  close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
});
afterEach(() => close());

function listing(properties: object): unknown {
  return {
    value: [
      { id: 'other', name: 'other', properties: {} },
      { id, name: 'KV-West', properties },
    ],
  };
}

describe('permissions', () => {
  it('of an access policy: those of the identity that is asked about', async () => {
    const policy = (objectId: string, keys: readonly string[]) => ({ objectId, permissions: { keys, secrets: ['get'] } });
    bodies[vaults] = listing({ accessPolicies: [policy('OID-OWN', ['get', 'wrapKey']), policy('oid-a', ['delete'])] });
    expect(await permissions.granted(vault, null)).toEqual(['keys/get', 'keys/wrapKey', 'secrets/get']);
    expect(await permissions.granted(vault, 'client-a')).toEqual(['keys/delete', 'secrets/get']);
    expect(seen).toHaveLength(1);
  });

  it('of role assignments: actions and data actions of each role, less what it takes back', async () => {
    bodies[vaults] = listing({ enableRbacAuthorization: true, accessPolicies: [] });
    bodies[`${id}/providers/Microsoft.Authorization/roleAssignments`] = {
      value: [{ properties: { roleDefinitionId: role } }, { properties: { roleDefinitionId: role } }],
    };
    bodies[role] = {
      properties: { permissions: [{ actions: ['a/read', 'a/write'], notActions: ['a/write'], dataActions: ['b/*'], notDataActions: [] }] },
    };
    expect(await permissions.granted(vault, 'client-a')).toEqual(['a/read', 'b/*']);
    expect(decodeURIComponent(seen.find((url) => url.includes('roleAssignments')) ?? '')).toContain("assignedTo('oid-a')");
  });

  it.each<[string, () => void]>([
    ['the vaults may not be read', () => undefined],
    ['the vault is not among them', () => (bodies[vaults] = { value: [] })],
    ['the assignments may not be read', () => (bodies[vaults] = listing({ enableRbacAuthorization: true }))],
    ['the list goes on at another origin', () => (bodies[vaults] = { value: [], nextLink: 'https://elsewhere.example/x' })],
    ['nothing is said of policies', () => (bodies[vaults] = listing({}))],
  ])('null where %s', async (_what, arrange) => {
    arrange();
    expect(await permissions.granted(vault, null)).toBeNull();
  });

  it('null without an endpoint, and for a Managed HSM, whose rights are kept in the pool', async () => {
    expect(await createPermissions({ clock: virtualClock(), identities, endpoint: null }).granted(vault, null)).toBeNull();
    expect(await permissions.granted({ ...vault, kind: 'managedHsm' }, null)).toBeNull();
    expect(seen).toEqual([]);
  });
});
