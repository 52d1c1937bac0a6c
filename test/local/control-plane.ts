import type { EnvironmentClock } from './clock.ts';
import type { Issuer } from './issuer.ts';
import { reply, serveJson } from './json-server.ts';
import type { JsonRequest, JsonServer } from './json-server.ts';

/** What the control plane knows of a vault. */
export interface ControlPlaneVault {
  readonly name: string;
  readonly kind: 'vault' | 'managedHsm';
  readonly region: string;
  /** Milliseconds since the epoch; null if it is not deleted. */
  readonly deletedAt: number | null;
}

interface ControlPlaneParts {
  readonly issuer: Issuer;
  readonly clock: EnvironmentClock;
  readonly vaults: () => readonly ControlPlaneVault[];
}

const retentionMs = 90 * 86_400_000;
const audiences = new Set(['https://management.azure.com', 'https://management.azure.com/']);

/**
 * Azure's control plane (ARM) as far as vaults are asked about there (law F9): vaults, deleted vaults, and the same of Managed HSM pools.
 * Every subscription has the same vaults. A token of the environment for `https://management.azure.com` is needed.
 */
export function startControlPlane(parts: ControlPlaneParts): Promise<JsonServer> {
  const provider = '/subscriptions/{subscription}/providers/Microsoft.KeyVault';
  const group = '/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault';
  const guarded = (handle: (request: JsonRequest) => unknown) => async (request: JsonRequest) =>
    (await refusal(parts, request)) ?? handle(request);
  const find = (kind: ControlPlaneVault['kind'], deleted: boolean) =>
    guarded((request) => {
      const name = request.parameters['name']?.toLowerCase();
      const location = request.parameters['location'];
      const vault = parts
        .vaults()
        .find((one) => one.name.toLowerCase() === name && one.kind === kind && (one.deletedAt !== null) === deleted);
      if (!vault || (location !== undefined && location.toLowerCase() !== vault.region.toLowerCase())) return notFound(deleted, request);
      return deleted ? deletedResource(vault, request) : resource(vault, request);
    });
  const list = (kind: ControlPlaneVault['kind'], deleted: boolean) =>
    guarded((request) => {
      const listed = parts.vaults().filter((one) => one.kind === kind && (one.deletedAt !== null) === deleted);
      return { value: listed.map((vault) => (deleted ? deletedResource(vault, request) : resource(vault, request))) };
    });
  return serveJson({
    [`GET ${group}/vaults/{name}`]: find('vault', false),
    [`GET ${group}/managedHSMs/{name}`]: find('managedHsm', false),
    [`GET ${provider}/vaults`]: list('vault', false),
    [`GET ${provider}/managedHSMs`]: list('managedHsm', false),
    [`GET ${provider}/deletedVaults`]: list('vault', true),
    [`GET ${provider}/deletedManagedHSMs`]: list('managedHsm', true),
    [`GET ${provider}/locations/{location}/deletedVaults/{name}`]: find('vault', true),
    [`GET ${provider}/locations/{location}/deletedManagedHSMs/{name}`]: find('managedHsm', true),
  });
}

async function refusal({ issuer, clock }: ControlPlaneParts, { headers }: JsonRequest): Promise<unknown> {
  const token = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  const claims = token === undefined ? 'invalid' : await issuer.verify(token);
  const valid =
    typeof claims === 'object' && audiences.has(claims.audience) && claims.tenant === issuer.tenant && claims.expiresAt > clock.now();
  if (valid) return undefined;
  return reply(401, { error: { code: 'AuthenticationFailed', message: 'Authentication failed.' } }, { 'www-authenticate': 'Bearer' });
}

function notFound(deleted: boolean, { parameters }: JsonRequest): unknown {
  const name = parameters['name'] ?? '';
  const error = deleted
    ? { code: 'DeletedVaultNotFound', message: `The specified deleted vault '${name}' does not exist.` }
    : { code: 'ResourceNotFound', message: `The Resource 'Microsoft.KeyVault/vaults/${name}' was not found.` };
  return reply(404, { error });
}

function resource(vault: ControlPlaneVault, { parameters }: JsonRequest): object {
  const type = typeOf(vault);
  return {
    id: `/subscriptions/${parameters['subscription'] ?? ''}/resourceGroups/${parameters['group'] ?? 'local'}/providers/${type}/${vault.name}`,
    name: vault.name,
    type,
    location: vault.region,
    properties: { provisioningState: 'Succeeded' },
  };
}

function deletedResource(vault: ControlPlaneVault, { parameters }: JsonRequest): object {
  const scope = `/subscriptions/${parameters['subscription'] ?? ''}`;
  const deletedAt = vault.deletedAt ?? 0;
  return {
    id: `${scope}/providers/Microsoft.KeyVault/locations/${vault.region}/deletedVaults/${vault.name}`,
    name: vault.name,
    type: typeOf(vault).replace('/v', '/deletedV').replace('/m', '/deletedM'),
    properties: {
      vaultId: `${scope}/resourceGroups/local/providers/${typeOf(vault)}/${vault.name}`,
      location: vault.region,
      deletionDate: new Date(deletedAt).toISOString(),
      scheduledPurgeDate: new Date(deletedAt + retentionMs).toISOString(),
    },
  };
}

function typeOf({ kind }: ControlPlaneVault): string {
  return kind === 'vault' ? 'Microsoft.KeyVault/vaults' : 'Microsoft.KeyVault/managedHSMs';
}
