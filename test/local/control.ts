import { callerToken, hostToken } from './callers.ts';
import { read, schemas } from './control-schemas.ts';
import type { Parts } from './environment.ts';
import { HttpError, reply, serveJson } from './json-server.ts';
import type { JsonRequest, JsonRoutes, JsonServer } from './json-server.ts';
import { vaultRoutes } from './vault-control.ts';

/** The control API of the environment: for tests and demonstrations, on loopback. Errors are `{error}` and name the field. */
export function serveControl(parts: Parts, port: number): Promise<JsonServer> {
  return serveJson({ ...overview(parts), ...vaultRoutes(parts), ...faults(parts), ...tokens(parts), ...instances(parts) }, port);
}

function overview({ fleet, issuer, identities, identity, storage, nameServer, ca, brokers, servers, clock }: Parts): JsonRoutes {
  return {
    'GET /': () => ({
      broker: brokers.list()[0]?.url ?? null,
      brokers: brokers.list().map(({ instance, url, pid }) => ({ instance, url, pid })),
      vaults: fleet.vaults().map(({ spec: { name, region, geography }, uri }) => ({ name, uri, region, geography })),
      servers,
      identities,
      issuer: issuer.issuer,
      tables: storage.connectionString(),
      ca,
      dns: nameServer,
    }),
    'POST /reset': async ({ body }) => {
      read(schemas.nothing, body);
      identity.setFault(undefined);
      await brokers.setTableFault(undefined);
      await Promise.all(fleet.vaults().map((vault) => vault.reset()));
    },
    'POST /clock': async ({ body }) => {
      clock.advance(read(schemas.clock, body).advance);
      await brokers.setClock(clock.offsetMs());
      return { now: new Date(clock.now()).toISOString() };
    },
  };
}

function faults({ identity, brokers }: Parts): JsonRoutes {
  return {
    'PUT /identity/fault': ({ body }) => identity.setFault(read(schemas.identityFault, body)),
    'DELETE /identity/fault': () => identity.setFault(undefined),
    'PUT /tables/fault': async ({ body }) => {
      const { instance, ...fault } = read(schemas.tableFault, body);
      if (!(await brokers.setTableFault(fault, instance))) throw new HttpError(404, `instance: no broker ${String(instance)} runs`);
    },
    'DELETE /tables/fault': async () => {
      await brokers.setTableFault(undefined);
    },
  };
}

function tokens({ issuer, servers, brokers }: Parts): JsonRoutes {
  /** Of the seeded fleet, or of a server that was registered at the broker since. */
  const principalOf = async (server: string): Promise<string> => {
    const seeded = servers.find(({ name }) => name === server);
    if (seeded) return seeded.principalId;
    const [broker] = brokers.list();
    if (!broker) throw new HttpError(404, `server: ${server} is not of the seeded fleet, and no broker runs that could know it`);
    const response = await fetch(`${broker.url}/v1/servers/${encodeURIComponent(server)}`, {
      headers: { authorization: `Bearer ${callerToken(issuer, { roles: ['KeyBroker.Auditor'] })}` },
    });
    if (!response.ok) throw new HttpError(404, `server: the broker does not know ${server}`);
    return ((await response.json()) as { principalId: string }).principalId;
  };
  return {
    'POST /tokens': async ({ body }) => {
      const { server, roles = [], expiresIn, audience } = read(schemas.token, body);
      if (server === undefined) return { token: callerToken(issuer, { roles, expiresIn, audience }) };
      return { token: hostToken(issuer, await principalOf(server), { expiresIn, audience }) };
    },
  };
}

function instances({ brokers }: Parts): JsonRoutes {
  return {
    'POST /instances': async ({ body }: JsonRequest) => {
      read(schemas.nothing, body);
      const { instance, url, pid } = await brokers.start();
      return reply(201, { instance, url, pid });
    },
    'DELETE /instances/{instance}': async ({ parameters }) => {
      const instance = parameters['instance'] ?? '';
      if (!/^\d{1,9}$/.test(instance)) throw new HttpError(400, `instance: ${instance} is no number of a broker`);
      if (!(await brokers.kill(Number(instance)))) throw new HttpError(404, `instance: no broker ${instance} runs`);
    },
  };
}
