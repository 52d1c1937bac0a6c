import { read, schemas } from './control-schemas.ts';
import type { Parts } from './environment.ts';
import { HttpError, reply } from './json-server.ts';
import type { JsonRequest, JsonRoutes } from './json-server.ts';
import { faultSchema } from './vault/faults.ts';
import type { Fleet, FleetVault } from './vault/fleet.ts';
import { VaultControlError } from './vault/vault.ts';

/** The part of the control API that directs vaults and keys. */
export function vaultRoutes({ fleet, issuer }: Parts): JsonRoutes {
  /** A route below `/vaults/{name}`; what the vault itself refuses becomes an answer with its status and words. */
  const at = (handle: (vault: FleetVault, request: JsonRequest) => unknown) => async (request: JsonRequest) => {
    const vault = find(fleet, 'name', request.parameters['name'] ?? '');
    try {
      return await handle(vault, request);
    } catch (error) {
      if (error instanceof VaultControlError) throw new HttpError(error.status, `${error.code}: ${error.message}`);
      throw error;
    }
  };
  const key = (request: JsonRequest): string => request.parameters['key'] ?? '';
  return {
    'POST /vaults': async ({ body }) => {
      const wish = read(schemas.newVault, body);
      if (fleet.vault(wish.name)) throw new HttpError(409, `name: there is a vault ${wish.name} already`);
      try {
        const { spec, uri } = await fleet.addVault({ ...wish, tenant: wish.tenant ?? issuer.tenant });
        return reply(201, { name: spec.name, uri });
      } catch (error) {
        if (error instanceof RangeError) throw new HttpError(400, `name: ${error.message}`);
        throw error;
      }
    },
    'PUT /vaults/{name}/fault': at((vault, { body }) => vault.setFault(read(faultSchema, body))),
    'DELETE /vaults/{name}/fault': at((vault) => vault.clearFault()),
    'PUT /vaults/{name}/access': at((vault, { body }) => {
      const { principal, allow } = read(schemas.access, body);
      vault.setAccess(principal, allow);
    }),
    'DELETE /vaults/{name}': at((vault, { body }) => vault.delete(read(schemas.deletion, body).answers)),
    'POST /vaults/{name}/recover': at((vault) => vault.recover()),
    'GET /vaults/{name}/calls': at((vault) => ({ items: vault.calls() })),
    'DELETE /vaults/{name}/calls': at((vault) => vault.clearCalls()),
    'POST /vaults/{name}/keys': at(async (vault, { body }) => {
      const { name, ...shape } = read(schemas.newKey, body);
      return reply(201, await vault.createKey(name, shape));
    }),
    'POST /vaults/{name}/keys/{key}/copy': at((vault, request) => {
      const { to } = read(schemas.copy, request.body);
      return reply(201, vault.copyKey(key(request), find(fleet, 'to', to)));
    }),
    'PATCH /vaults/{name}/keys/{key}/{version}': at((vault, request) => {
      vault.patchKey(key(request), request.parameters['version'] ?? '', read(schemas.keyChange, request.body));
    }),
    'DELETE /vaults/{name}/keys/{key}': at((vault, request) => vault.deleteKey(key(request))),
    'POST /vaults/{name}/keys/{key}/recover': at((vault, request) => vault.recoverKey(key(request))),
  };
}

function find(fleet: Fleet, field: string, name: string): FleetVault {
  const vault = fleet.vault(name);
  if (!vault) throw new HttpError(404, `${field}: there is no vault ${name}`);
  return vault;
}
