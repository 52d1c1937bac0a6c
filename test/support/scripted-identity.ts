import { createServer } from 'node:http';
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
  /** Resets the connections of requests that hang. */
  breakOff(): void;
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
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '', 'http://127.0.0.1').searchParams;
    seen.push({ clientId: query.get('client_id'), resource: query.get('resource') });
    if (step === 'hang') return;
    if (step === 'reset') {
      request.socket.destroy();
      return;
    }
    given += 1;
    const expiresOn = String(Math.floor(now() / 1000) + lifetimeSeconds);
    const token = { access_token: `token-${given}`, expires_on: expiresOn, resource: query.get('resource'), token_type: 'Bearer' };
    response.writeHead(step?.status ?? 200, { 'content-type': 'application/json' });
    response.end(step?.body ?? JSON.stringify(token));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  process.env['IDENTITY_ENDPOINT'] = `http://127.0.0.1:${port}/msi/token`;
  process.env['IDENTITY_HEADER'] = 'header-of-the-platform';
  return {
    seen,
    answer: (next) => (step = next),
    lifetime: (seconds) => (lifetimeSeconds = seconds),
    breakOff: () => server.closeAllConnections(),
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
