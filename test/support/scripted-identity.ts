import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the managed-identity endpoint saw of one request. */
export interface TokenRequest {
  readonly clientId: string | null;
  readonly resource: string | null;
}

export type TokenStep = { readonly status: number; readonly body: string } | 'reset' | 'hang';

export interface ScriptedIdentity {
  readonly seen: TokenRequest[];
  /** What requests are answered from now on; undefined: a new token each time. */
  answer(step: TokenStep | undefined): void;
  /** Seconds until the tokens given out expire. */
  lifetime(seconds: number): void;
  /** Resets the connection of the request that hangs the longest. */
  breakOff(): void;
  /** Gives a token to all requests that hang. */
  letGo(): void;
  close(): Promise<void>;
}

/**
 * An endpoint like that of App Service (facts, key-vault-behaviour 5.2), set as the one of this process. Tokens are `token-1`, `token-2`, …
 * The SDK reads the address once for the life of the process: start one a test file, before the first token.
 * @param now wall clock in milliseconds by which tokens expire.
 */
export async function startScriptedIdentity(now: () => number = Date.now): Promise<ScriptedIdentity> {
  const seen: TokenRequest[] = [];
  let step: TokenStep | undefined;
  let given = 0;
  let lifetimeSeconds = 86_400;
  const hanging: (readonly [ServerResponse, string | null])[] = [];
  const tokenFor = (resource: string | null): Exclude<TokenStep, string> => {
    given += 1;
    const expiresOn = String(Math.floor(now() / 1000) + lifetimeSeconds);
    return { status: 200, body: JSON.stringify({ access_token: `token-${given}`, expires_on: expiresOn, resource, token_type: 'Bearer' }) };
  };
  const answer = (response: ServerResponse, { status, body }: Exclude<TokenStep, string>): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body);
  };
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://127.0.0.1').searchParams;
    seen.push({ clientId: query.get('client_id'), resource: query.get('resource') });
    if (step === 'hang') {
      hanging.push([response, query.get('resource')]);
      return;
    }
    if (step === 'reset') {
      request.socket.destroy();
      return;
    }
    answer(response, step ?? tokenFor(query.get('resource')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  process.env['IDENTITY_ENDPOINT'] = `http://127.0.0.1:${port}/msi/token`;
  process.env['IDENTITY_HEADER'] = 'header-of-the-platform';
  return {
    seen,
    answer: (next) => (step = next),
    lifetime: (seconds) => (lifetimeSeconds = seconds),
    breakOff() {
      const [longest] = hanging.splice(0, 1);
      longest?.[0].destroy();
    },
    letGo() {
      step = undefined;
      for (const [response, resource] of hanging.splice(0)) answer(response, tokenFor(resource));
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
