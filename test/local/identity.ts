import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EnvironmentClock } from './clock.ts';
import type { Issuer } from './issuer.ts';

/** A managed identity; ids are GUIDs. */
export interface Identity {
  readonly clientId: string;
  readonly principalId: string;
}

/** `down`: connections are cut; `notFound`: no identity is assigned any more; `slow`: answers come `ms` later. */
export type IdentityFault = { readonly fault: 'down' } | { readonly fault: 'notFound' } | { readonly fault: 'slow'; readonly ms: number };

/** The managed-identity endpoint of App Service and Functions (facts 5.2). */
export interface IdentityEndpoint {
  /** Value of `IDENTITY_ENDPOINT`. */
  readonly url: string;
  /** Value of `IDENTITY_HEADER`: the secret without which the endpoint gives nothing. */
  readonly header: string;
  setFault(fault: IdentityFault | undefined): void;
  close(): Promise<void>;
}

interface IdentityParts {
  readonly issuer: Issuer;
  readonly clock: EnvironmentClock;
  /** The first is the one that is used when a request names none. */
  readonly identities: readonly Identity[];
}

/** Managed identities' tokens live 24 hours. */
const lifetimeS = 24 * 3600;
const notAssigned = 'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId';

export async function startIdentityEndpoint({ issuer, clock, identities }: IdentityParts): Promise<IdentityEndpoint> {
  const header = randomUUID();
  let fault: IdentityFault | undefined;

  const respond = (url: URL, given: unknown, response: ServerResponse): void => {
    const resource = url.searchParams.get('resource') ?? '';
    const clientId = url.searchParams.get('client_id') ?? identities[0]?.clientId;
    const identity = fault?.fault === 'notFound' ? undefined : identities.find((one) => one.clientId === clientId?.toLowerCase());
    if (given !== header) answer(response, 401, failure(401, 'Unauthorized: the X-IDENTITY-HEADER is missing or wrong'));
    else if (url.searchParams.get('api-version') !== '2019-08-01') answer(response, 400, failure(400, 'The api-version is not supported'));
    else if (resource === '') answer(response, 400, failure(400, 'The parameter resource is missing'));
    else if (!identity) answer(response, 400, failure(400, notAssigned));
    else answer(response, 200, grant(identity, resource));
  };
  const grant = (identity: Identity, resource: string): object => ({
    access_token: issuer.sign(vaultClaims(issuer, identity, resource), lifetimeS),
    expires_on: String(Math.floor(clock.now() / 1000) + lifetimeS),
    resource,
    token_type: 'Bearer',
    client_id: identity.clientId,
  });

  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    if (fault?.fault === 'down') request.socket.destroy();
    else if (request.method !== 'GET' || url.pathname !== '/msi/token') answer(response, 404, failure(404, 'Not found'));
    else if (fault?.fault === 'slow') setTimeout(() => respond(url, request.headers['x-identity-header'], response), fault.ms).unref();
    else respond(url, request.headers['x-identity-header'], response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/msi/token`,
    header,
    setFault(next) {
      fault = next;
      if (next?.fault === 'down') server.closeAllConnections();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Claims of a managed identity's token (version 1.0 tokens: issuer `sts`, audience the resource itself). */
function vaultClaims(issuer: Issuer, identity: Identity, resource: string): Record<string, string> {
  return {
    iss: `https://sts.windows.net/${issuer.tenant}/`,
    aud: resource,
    oid: identity.principalId,
    sub: identity.principalId,
    appid: identity.clientId,
    idtyp: 'app',
    ver: '1.0',
  };
}

function failure(statusCode: number, message: string): object {
  return { statusCode, message, correlationId: randomUUID() };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}
