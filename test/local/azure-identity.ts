import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A managed-identity endpoint of App Service on this machine, whose tokens are those of whoever is signed in at the Azure CLI. */
export interface AzureIdentity {
  /** `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` of the app. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Azure's own answer of `az account`, read from its JSON. Rejects with the CLI's words if it is not there or nobody is signed in. */
export async function askAzure<T>(...args: readonly string[]): Promise<T> {
  try {
    const { stdout } = await run('az', ['account', ...args, '--output', 'json']);
    return JSON.parse(stdout) as T;
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw new Error('the Azure CLI (az) is not installed');
    throw new Error(`az account ${args[0] ?? ''}: ${(stderr ?? String(error)).trim()}`);
  }
}

/** On loopback, any free port; asks for its header, which no other program of this machine knows. */
export async function startAzureIdentity(): Promise<AzureIdentity> {
  const header = randomUUID();
  const server = http.createServer((request, response) => {
    const resource = new URL(request.url ?? '/', 'http://localhost').searchParams.get('resource');
    const reply = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (request.headers['x-identity-header'] !== header || resource === null) {
      reply(400, { statusCode: 400, message: 'resource or X-IDENTITY-HEADER is missing' });
      return;
    }
    askAzure<{ accessToken: string; expires_on: number }>('get-access-token', '--resource', resource).then(
      ({ accessToken, expires_on: expiresOn }) =>
        reply(200, { access_token: accessToken, expires_on: String(expiresOn), resource, token_type: 'Bearer' }),
      (error: unknown) => reply(500, { statusCode: 500, message: String(error) }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    env: { IDENTITY_ENDPOINT: `http://127.0.0.1:${String(port)}/msi/token`, IDENTITY_HEADER: header },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
