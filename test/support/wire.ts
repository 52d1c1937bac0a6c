import { ReadableStream } from 'node:stream/web';
import type { HttpResponseInit } from '@azure/functions';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTHeaderParameters, type JWTPayload } from 'jose';
import type { Roads } from '../../src/broker/roads.ts';
import { refuse } from '../../src/domain/refusal.ts';
import { instant, millis, type Instant, type Millis } from '../../src/domain/time.ts';
import type { WireRequest } from '../../src/http/body.ts';
import { createCallers, type CallerSettings, type Callers } from '../../src/http/caller.ts';
import type { Defect } from '../../src/http/defect.ts';
import type { Route } from '../../src/http/route.ts';
import { routes } from '../../src/http/routes.ts';
import { createServe, type WireSettings } from '../../src/http/serve.ts';
import type { Clock } from '../../src/ports/clock.ts';

/** A clock that stands still until it is moved. Both its times move together; pauses end when they are passed. */
export class StillClock implements Clock {
  #now = Date.parse('2026-11-22T06:00:00Z');
  #elapsed = 0;
  #ids = 0;
  readonly #pauses = new Set<{ readonly at: number; readonly end: () => void }>();

  now(): Instant {
    return instant(this.#now);
  }

  elapsed(): Millis {
    return millis(this.#elapsed);
  }

  pause(span: Millis, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const pause = { at: this.#elapsed + span, end: resolve };
      this.#pauses.add(pause);
      signal?.addEventListener('abort', () => {
        this.#pauses.delete(pause);
        resolve();
      });
    });
  }

  /** How many pauses are under way. */
  get pausing(): number {
    return this.#pauses.size;
  }

  randomBytes(size: number): Uint8Array {
    return new Uint8Array(size).fill(0xab);
  }

  uuid(): string {
    this.#ids += 1;
    return `00000000-0000-4000-8000-${String(this.#ids).padStart(12, '0')}`;
  }

  advance(ms: number): void {
    this.#now += ms;
    this.#elapsed += ms;
    for (const pause of this.#pauses) {
      if (pause.at <= this.#elapsed) {
        this.#pauses.delete(pause);
        pause.end();
      }
    }
  }
}

export const tenantId = '11111111-2222-4333-8444-555555555555';
export const objectId = '6f2c1a0e-93b7-4a51-8a0c-2f6f5d0b7e11';
const issuerUrl = `https://login.example/${tenantId}/v2.0`;

/** Signs tokens and answers for its metadata and key set, as an OpenID Connect issuer does. */
export class TestIssuer {
  readonly issuer = issuerUrl;
  readonly jwksUri = 'https://login.example/keys';
  readonly #clock: Clock;
  readonly #keys = new Map<string, { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey }>();
  /** Addresses that were read. */
  readonly reads: string[] = [];
  isDown = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async addKey(kid: string, alg = 'RS256'): Promise<void> {
    this.#keys.set(kid, await generateKeyPair(alg, { extractable: true }));
  }

  removeKey(kid: string): void {
    this.#keys.delete(kid);
  }

  publicKey(kid: string): CryptoKey {
    return this.#keys.get(kid)!.publicKey;
  }

  readonly readJson = async (url: string): Promise<unknown> => {
    this.reads.push(url);
    if (this.isDown) throw new TypeError('fetch failed');
    if (url === `${this.issuer}/.well-known/openid-configuration`) return { issuer: this.issuer, jwks_uri: this.jwksUri };
    if (url !== this.jwksUri) throw new TypeError('status 404');
    const keys = [...this.#keys].map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid, use: 'sig' }));
    return { keys: await Promise.all(keys) };
  };

  /** Claims of a token that is good for one hour. */
  claims(): JWTPayload {
    const now = Math.floor(this.#clock.now() / 1000);
    return {
      iss: this.issuer,
      aud: 'api://keybroker',
      oid: objectId,
      tid: tenantId,
      roles: ['KeyBroker.Host'],
      iat: now,
      nbf: now,
      exp: now + 3600,
    };
  }

  sign(
    claims: Readonly<Record<string, unknown>> = {},
    header: Partial<JWTHeaderParameters> = {},
    signer?: CryptoKey | Uint8Array,
  ): Promise<string> {
    const [first] = this.#keys.keys();
    const kid = header.kid ?? first!;
    const pair = this.#keys.get(kid) ?? this.#keys.get(first!)!;
    const all = { ...this.claims(), ...claims };
    return new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT', ...header }).sign(signer ?? pair.privateKey);
  }
}

export function callerSettings(issuer: TestIssuer, change: Partial<CallerSettings> = {}): CallerSettings {
  return { issuer: issuer.issuer, audiences: ['api://keybroker'], tenantId, jwksUri: null, clockToleranceMs: millis(60_000), ...change };
}

export const wireSettings: WireSettings = {
  deployment: 'urn:keybroker:test',
  warnings: [],
  vaultHostSuffixes: [{ suffix: '.vault.azure.net', port: 443 }],
  requestTimeoutMs: millis(10_000),
  batchTimeoutMs: millis(60_000),
};

export type Walked = { readonly road: string; readonly request: unknown; readonly context: unknown };

/** Roads that note who walks them. Each answers as it was told; one that was not told refuses, so that no test passes by accident. */
export function fakeRoads(told: Partial<Roads> = {}): { readonly roads: Roads; readonly walked: Walked[] } {
  const walked: Walked[] = [];
  const roads = new Proxy({} as Roads, {
    get:
      (_target, road: string) =>
      (...args: unknown[]): unknown => {
        walked.push({ road, request: args[0], context: args.at(-1) });
        const answer = Reflect.get(told, road) as ((...args: unknown[]) => unknown) | undefined;
        return answer ? answer(...args) : Promise.resolve(refuse('Conflict', 'nothing was told to this road'));
      },
  });
  return { roads, walked };
}

export interface Sent {
  readonly params?: Record<string, string>;
  readonly query?: string;
  readonly headers?: Record<string, string>;
  /** Text and bytes go as they are, in one chunk; a list in as many chunks; anything else as JSON. */
  readonly body?: unknown;
}

function stream(body: unknown): ReadableStream | null {
  if (body === undefined) return null;
  const chunks = Array.isArray(body)
    ? (body as Uint8Array[])
    : [body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))];
  return ReadableStream.from(chunks) as ReadableStream;
}

export function wireRequest({ params = {}, query = '', headers = {}, body }: Sent): WireRequest {
  return { headers: new Headers(headers), params, query: new URLSearchParams(query), body: stream(body) };
}

export interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export function received({ status = 200, headers, body }: HttpResponseInit): Received {
  const text = typeof body === 'string' ? body : '';
  return {
    status,
    headers: headers as Record<string, string>,
    text,
    json: (text === '' || text.startsWith('<!doctype') ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}

/** Callers for tests that are not about tokens: `Bearer KeyBroker.Host` has that role. */
export const namedCallers: Callers = {
  identify: (authorization) =>
    authorization === null
      ? refuse('Unauthenticated', 'an access token is needed')
      : {
          ok: true,
          value: { objectId, roles: new Set([authorization.replace('Bearer ', '')] as ('KeyBroker.Host' | 'KeyBroker.Operator')[]) },
        },
};

/** The wire with fake roads behind it. */
export function testWire(told: Partial<Roads> = {}, callers: Callers = namedCallers, settings: WireSettings = wireSettings) {
  const clock = new StillClock();
  const defects: Defect[] = [];
  const { roads, walked } = fakeRoads(told);
  const serve = createServe({ roads, callers, settings, clock, log: (defect) => defects.push(defect) });
  const handle = async (route: Route, request: WireRequest): Promise<Received> => received(await serve(route)(request));
  function call(id: string, sent: Sent = {}): Promise<Received> {
    const route = routes.find((candidate) => candidate.id === id);
    if (route === undefined) throw new Error(`no route ${id}`);
    const authorization: Record<string, string> = route.who === 'anyone' ? {} : { authorization: `Bearer ${route.who[0]}` };
    return handle(route, wireRequest({ ...sent, headers: { ...authorization, ...sent.headers } }));
  }
  return { call, handle, clock, defects, walked };
}

export function testCallers(issuer: TestIssuer, clock: Clock, change: Partial<CallerSettings> = {}): Callers {
  return createCallers(callerSettings(issuer, change), clock, issuer.readJson);
}
