import { bodyOf, type VaultError } from './errors.ts';

/** An answer before it is sent. `headers` alternates names and values, as `writeHead` takes them. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

/** The request as far as answers depend on it. */
export interface Asked {
  readonly clientRequestId: string | undefined;
  /** `performance.now()` when it had arrived. */
  readonly since: number;
}

/** Shapes answers like one vault's: its headers, its challenge (facts, key-vault-behaviour 2.2 and 3.1). */
export interface AnswerShaper {
  json(asked: Asked, status: number, body: unknown): Answer;
  error(asked: Asked, error: VaultError): Answer;
  /** An answer with a body that is no JSON, or none. */
  plain(asked: Asked, status: number, contentType: string, body: string): Answer;
  /** Something that is no vault answers: none of Key Vault's headers. */
  foreign(html: string): Answer;
}

export interface ShaperWorld {
  readonly kind: 'vault' | 'managedHsm';
  readonly region: string;
  /** `https://{authority}/{tenant}`, where tokens come from. */
  readonly authorization: string;
  /** What tokens are for. */
  readonly resource: string;
  readonly clock: () => number;
  readonly newId: () => string;
}

const jsonType = 'application/json; charset=utf-8';
const networkInfo = ['x-ms-keyvault-network-info', 'conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;'];
const security = ['X-Content-Type-Options', 'nosniff', 'Strict-Transport-Security', 'max-age=31536000;includeSubDomains'];

export function createShaper(world: ShaperWorld): AnswerShaper {
  const challenge = ['WWW-Authenticate', `Bearer authorization="${world.authorization}", resource="${world.resource}"`];
  const today = createDateHeader(world.clock);
  const common = world.kind === 'vault' ? vaultHeaders(world) : hsmHeaders(world);

  function plain(asked: Asked, status: number, contentType: string, body: string): Answer {
    const headers = ['Content-Length', String(Buffer.byteLength(body)), 'Date', today(), ...common(asked, status)];
    if (body !== '') headers.push('Content-Type', contentType);
    if (status === 401) headers.push(...challenge);
    return { status, headers, body };
  }

  return {
    plain,
    json: (asked, status, body) => plain(asked, status, jsonType, JSON.stringify(body)),
    error: (asked, error) => plain(asked, error.status, jsonType, world.kind === 'managedHsm' && error.status === 401 ? '' : bodyOf(error)),
    foreign: (html) => ({
      status: 200,
      headers: ['Content-Length', String(Buffer.byteLength(html)), 'Content-Type', 'text/html', 'Date', today()],
      body: html,
    }),
  };
}

type CommonHeaders = (asked: Asked, status: number) => string[];

function vaultHeaders({ region, newId }: ShaperWorld): CommonHeaders {
  const fixed = [
    ...['Cache-Control', 'no-cache', 'Pragma', 'no-cache', 'Expires', '-1'],
    ...['x-ms-keyvault-region', region, 'x-ms-keyvault-service-version', '1.9.1054.1'],
    ...networkInfo,
    ...security,
  ];
  return ({ clientRequestId }) => [
    ...fixed,
    ...['x-ms-request-id', newId()],
    ...(clientRequestId === undefined ? [] : ['x-ms-client-request-id', clientRequestId]),
  ];
}

/** A Managed HSM names its region on success only, and on a 401 neither its request id nor its latency. */
function hsmHeaders({ region, newId }: ShaperWorld): CommonHeaders {
  const fixed = ['Cache-Control', 'no-cache', ...networkInfo, ...security];
  return ({ since }, status) => {
    if (status === 401) return fixed;
    const latency = ['x-ms-request-id', newId(), 'x-ms-server-latency', String(Math.round(performance.now() - since))];
    return [...fixed, ...latency, ...(status < 300 ? ['x-ms-keyvault-region', region] : [])];
  };
}

/** The `Date` header by the environment's clock, written anew once a second. */
function createDateHeader(clock: () => number): () => string {
  let second = NaN;
  let text = '';
  return () => {
    const now = Math.floor(clock() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toUTCString();
    }
    return text;
  };
}
