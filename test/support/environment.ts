import { afterAll, beforeAll } from 'vitest';
import { startEnvironment } from '../local/environment.ts';
import type { Environment, EnvironmentOptions } from '../local/environment.ts';

export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** The local environment as a journey uses it: over HTTP. */
export interface Journey {
  readonly environment: Environment;
  /** Calls the control API, e.g. `control('PUT /vaults/kv-west/fault', { fault: 'hang' })`. Rejects if it refuses. */
  readonly control: <T = unknown>(call: string, body?: object) => Promise<T>;
  /** Calls a broker, e.g. `broker('GET /v1/servers/sql-demo', { token })`; that of number `instance`, default 0. */
  readonly broker: <T = unknown>(call: string, options?: BrokerCall) => Promise<Answer<T>>;
  /** An access token for a server's host, or for a caller with roles. */
  readonly token: (wish: { readonly server: string } | { readonly roles: readonly string[] }) => Promise<string>;
}

export interface BrokerCall {
  readonly token?: string;
  readonly body?: unknown;
  readonly instance?: number;
}

/** Starts the environment once for the tests of a file, and ends it after them. What is returned may be used inside tests and hooks. */
export function useEnvironment(options: EnvironmentOptions = {}): Journey {
  let environment: Environment | undefined;
  const started = (): Environment => {
    if (!environment) throw new Error('the environment has not been started yet');
    return environment;
  };
  beforeAll(async () => {
    environment = await startEnvironment(options);
  }, 60_000);
  afterAll(async () => {
    await environment?.stop();
  }, 30_000);

  const control = async <T>(call: string, body?: object): Promise<T> => {
    const answer = await request<T>(started().control, call, { body });
    if (answer.status >= 300) throw new Error(`${call}: ${String(answer.status)} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  return {
    get environment() {
      return started();
    },
    control,
    broker<T>(call: string, { token, body, instance = 0 }: BrokerCall = {}) {
      const broker = started()
        .brokers.list()
        .find((one) => one.instance === instance);
      if (!broker) throw new Error(`no broker ${String(instance)} runs`);
      return request<T>(broker.url, call, { body, token });
    },
    token: async (wish) => (await control<{ token: string }>('POST /tokens', wish)).token,
  };
}

interface RequestParts {
  readonly body?: unknown;
  readonly token?: string | undefined;
}

/** One request with JSON both ways; a body that is no JSON is given as text. `call` is method and path. */
export async function request<T = unknown>(origin: string, call: string, { body, token }: RequestParts = {}): Promise<Answer<T>> {
  const [method = '', path = ''] = call.split(' ');
  const response = await fetch(origin + path, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parse(text) as T };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
