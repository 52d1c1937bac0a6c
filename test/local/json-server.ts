import http from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** An answer that says no: thrown by handlers, written as `{"error": message}`. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonRequest {
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  /** Empty if the request has no body. */
  readonly body: JsonObject;
}

export interface JsonResponse {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `METHOD /path/{parameter}` to its handler. What a handler returns is the body of a 200; a `JsonResponse` is made by `reply`. */
export type JsonRoutes = Readonly<Record<string, (request: JsonRequest) => unknown>>;

export interface JsonServer {
  readonly port: number;
  /** `http://127.0.0.1:{port}` */
  readonly url: string;
  close(): Promise<void>;
}

const replies = new WeakSet<object>();

/** An answer with a status of its own. */
export function reply(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): JsonResponse {
  const response = { status, body, headers };
  replies.add(response);
  return response;
}

/**
 * Serves JSON on loopback. A path that no route has is a 404, a method that a path has not a 405, a body that is no JSON object a 400, and
 * a failure of a handler a 500 that says what failed: the callers are tests and developers.
 *
 * @param port 0: any free one
 * @throws `the port … is taken` if another process listens there
 */
export async function serveJson(routes: JsonRoutes, port = 0): Promise<JsonServer> {
  const table = Object.entries(routes).map(([route, handle]) => {
    const [method = '', template = ''] = route.split(' ');
    const pattern = new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}/?$`);
    return { method, pattern, handle };
  });
  const server = http.createServer((request, response) => {
    respond(request, table).then(
      (answer) => write(response, answer),
      (error: unknown) => {
        const status = error instanceof HttpError ? error.status : 500;
        write(response, { status, body: { error: error instanceof Error ? error.message : String(error) } });
      },
    );
  });
  await listen(server, port);
  const bound = (server.address() as AddressInfo).port;
  return { port: bound, url: `http://127.0.0.1:${String(bound)}`, close: () => close(server) };
}

interface TableRow {
  readonly method: string;
  readonly pattern: RegExp;
  readonly handle: (request: JsonRequest) => unknown;
}

async function respond(request: IncomingMessage, table: readonly TableRow[]): Promise<JsonResponse> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const rows = table.filter((row) => row.pattern.test(url.pathname));
  const row = rows.find((candidate) => candidate.method === request.method);
  if (!row)
    throw rows.length > 0 ? new HttpError(405, `no ${request.method ?? ''} here`) : new HttpError(404, `no such path: ${url.pathname}`);
  const groups = row.pattern.exec(url.pathname)?.groups ?? {};
  const parameters = Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decode(value)]));
  const result = await row.handle({ parameters, query: url.searchParams, headers: request.headers, body: await readObject(request) });
  if (typeof result === 'object' && result !== null && replies.has(result)) return result as JsonResponse;
  return { status: 200, body: result ?? {} };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HttpError(400, `not percent-encoded: ${text}`);
  }
}

async function readObject(request: IncomingMessage): Promise<JsonObject> {
  const json = await text(request);
  if (json === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new HttpError(400, 'the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new HttpError(400, 'the body is not a JSON object');
  return value as JsonObject;
}

function write(response: ServerResponse, { status, body, headers }: JsonResponse): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(JSON.stringify(body));
}

async function listen(server: http.Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new Error(`the port ${String(port)} is taken`) : error),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
}

function close(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
