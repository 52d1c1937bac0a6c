import dns from 'node:dns';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { KeyId } from '../../src/domain/key.ts';
import type { Vault } from '../../src/domain/vault.ts';
import { createAuthority } from '../local/certificates.ts';

/** What the vault saw of one request. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  /** The bearer token; null for an anonymous request. */
  readonly token: string | null;
  readonly body: string;
  /** Header `accept-encoding`; null without one. */
  readonly encodings: string | null;
  /** Headers `content-type`, `accept` and `user-agent`, as far as they came. */
  readonly described: Readonly<Record<string, string | undefined>>;
  /** Number of the connection, from 1. */
  readonly connection: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** `reset` destroys the connection, `hang` sends nothing, `stall` sends the headers of an answer and never its body, `cut` resets after them. */
export type Step = Answer | 'reset' | 'hang' | { readonly stall: Answer } | { readonly cut: Answer };

export interface ScriptedVault {
  readonly vault: Vault;
  readonly keyId: KeyId;
  /** PEM of the authority that a client has to trust. */
  readonly ca: string;
  readonly seen: Seen[];
  /** What authorised requests are answered from now on; a list is used up, its last one stays. */
  answer(...steps: readonly (Step | ((request: Seen) => Step))[]): void;
  /** What anonymous requests are answered from now on. */
  challenge(step: Step): void;
  close(): Promise<void>;
}

/** Headers of every answer of a Key Vault (facts, key-vault-behaviour 2.2). */
export const vaultHeaders = {
  'content-type': 'application/json; charset=utf-8',
  'x-ms-keyvault-region': 'westeurope',
  'x-ms-keyvault-service-version': '1.9.1054.1',
  'x-ms-keyvault-network-info': 'conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;',
};

export function challengeHeader(tenant: string, resource = 'https://vault.test'): string {
  return `Bearer authorization="https://login.windows.net/${tenant}", resource="${resource}"`;
}

/** A vault's error body as it is on the wire. */
export function vaultError(status: number, error: { code: string; message?: string; inner?: string }): Answer {
  const innererror = error.inner === undefined ? {} : { innererror: { code: error.inner } };
  return {
    status,
    headers: vaultHeaders,
    body: JSON.stringify({ error: { code: error.code, message: error.message ?? '', ...innererror } }),
  };
}

export const anonymous401 = (tenant = 'tenant-1'): Answer => ({
  ...vaultError(401, { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer or PoP token.' }),
  headers: { ...vaultHeaders, 'www-authenticate': challengeHeader(tenant) },
});

export const authority = createAuthority('Scripted vaults');

/** An HTTPS server on loopback that answers what a test tells it, and by default as a healthy vault that returns the value it was sent. */
export async function startScriptedVault(kind: Vault['kind'] = 'vault'): Promise<ScriptedVault> {
  const host = 'kv-one.vault.test';
  const { key, cert } = authority.issue(host);
  const seen: Seen[] = [];
  const connections = new Map<Socket, number>();
  let steps: readonly (Step | ((request: Seen) => Step))[] = [];
  let onAnonymous: Step = anonymous401();

  const server = createServer({ key, cert }, (request, response) => {
    void readAll(request).then((body) => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? null;
      const one: Seen = {
        method: request.method ?? '',
        path: request.url ?? '',
        token,
        body,
        encodings: request.headers['accept-encoding'] ?? null,
        described: {
          'content-type': request.headers['content-type'],
          accept: request.headers.accept,
          'user-agent': request.headers['user-agent'],
        },
        connection: connections.get(request.socket) ?? 0,
      };
      seen.push(one);
      play(token === null ? onAnonymous : next(one), response);
    });
  });
  server.on('secureConnection', (socket: Socket) => connections.set(socket, connections.size + 1));

  function next(request: Seen): Step {
    const [step, ...rest] = steps;
    if (rest.length > 0) steps = rest;
    if (step === undefined) return healthy(request, uri);
    return typeof step === 'function' ? step(request) : step;
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const uri = `https://${host}:${port}`;
  return {
    vault: { name: 'one', uri, kind, region: 'westeurope', geography: 'Europe', subscriptionId: 'sub-1' },
    keyId: `${uri}/keys/kek/v1` as KeyId,
    ca: authority.cert,
    seen,
    answer: (...next) => (steps = next),
    challenge: (step) => (onAnonymous = step),
    close: () => closeServer(server),
  };
}

/** A success: the value that came, under the key id that was asked for. */
export function healthy(request: Seen, uri: string): Answer {
  const keyId = uri + request.path.replace(/\/(un)?wrapkey.*|\?.*/, '');
  const { value } = JSON.parse(request.body) as { value: string };
  return { status: 200, headers: vaultHeaders, body: JSON.stringify({ kid: keyId, value }) };
}

function play(step: Step, response: ServerResponse): void {
  if (step === 'hang') return;
  if (step === 'reset') {
    response.socket?.destroy();
    return;
  }
  const answer = 'stall' in step ? step.stall : 'cut' in step ? step.cut : step;
  response.writeHead(answer.status, { ...answer.headers, 'content-length': String(Buffer.byteLength(answer.body ?? '')) });
  if ('stall' in step) response.flushHeaders();
  else if ('cut' in step) response.write(' ', () => response.socket?.destroy());
  else response.end(answer.body);
}

async function readAll(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address?: unknown, family?: number) => void;

/** Makes the names of scripted vaults resolve to loopback, or fail with an errno; `restore` undoes it. */
export function resolveScriptedNames(): { fail(errno: string | null): void; restore(): void } {
  const real = dns.lookup;
  let failure: string | null = null;
  const lookup = (name: string, options: { all?: boolean }, done: LookupCallback): void => {
    const errno = failure;
    if (!name.endsWith('.vault.test')) {
      (real as (...args: readonly unknown[]) => void)(name, options, done);
    } else if (errno !== null) {
      queueMicrotask(() => done(Object.assign(new Error(`getaddrinfo ${errno} ${name}`), { code: errno, syscall: 'getaddrinfo' })));
    } else {
      queueMicrotask(() => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)));
    }
  };
  dns.lookup = lookup as unknown as typeof dns.lookup;
  return {
    fail: (errno) => (failure = errno),
    restore: () => (dns.lookup = real),
  };
}
