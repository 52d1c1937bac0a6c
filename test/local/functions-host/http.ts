import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from './app.ts';
import { invoke } from './invoke.ts';
import { describeError } from './log.ts';
import type { Log } from './log.ts';
import type { Match, Router } from './router.ts';
import type { HostSettings } from './settings.ts';
import type { InvocationRequest, Nullable, RpcHttp, TypedValue } from './seam.ts';

/** The host gives up on a worker that does not answer a forwarded request after this time (facts 1.5). */
const forwarderTimeoutMs = 240_000;
/** Kestrel's bound on request headers. */
const maxHeaderBytes = 32 * 1024;
const homePage = '<!DOCTYPE html><title>Functions</title><h1>Your Functions 4.0 app is up and running</h1>\n';

export interface FrontParts {
  readonly app: App;
  readonly router: Router;
  readonly settings: HostSettings;
  readonly log: Log;
  /** Answers what begins with `/admin`. */
  readonly admin: (request: IncomingMessage, response: ServerResponse, path: string) => void;
}

/** The host's web server: `/` and `/admin` are its own, all else is routed to the functions or is a 404 with an empty body. */
export function createFront(parts: FrontParts): http.Server {
  const customHeaders = Object.entries(parts.settings.customHeaders);
  return http.createServer({ maxHeaderSize: maxHeaderBytes, keepAliveTimeout: 130_000 }, (request, response) => {
    for (const [name, value] of customHeaders) response.setHeader(name, value);
    const url = request.url ?? '/';
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    if (path === '/') response.setHeader('content-type', 'text/html').end(homePage);
    else if (/^\/admin(\/|$)/i.test(path)) parts.admin(request, response, path);
    else serve(parts, request, response, path);
  });
}

function serve(parts: FrontParts, request: IncomingMessage, response: ServerResponse, path: string): void {
  const match = parts.router.match(request.method ?? '', path);
  if (!match) answer(response, 404);
  else if (parts.app.streaming) forward(parts, parts.app.streaming, { request, response, match });
  else void call(parts, { request, response, match });
}

/** Ends the response with a status and no body. */
export function answer(response: ServerResponse, status: number): void {
  response.statusCode = status;
  response.setHeader('content-length', '0');
  response.end();
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly match: Match;
}

/**
 * Streaming: the raw request goes to the library's proxy server, found again by its invocation id; the invocation's message carries only
 * headers and route parameters. Azure's host has a network hop between the two. When the handler throws, nothing answers: so it is there,
 * too, until the forwarder gives up.
 */
function forward(parts: FrontParts, streaming: http.Server, { request, response, match }: Exchange): void {
  const headers = plainHeaders(request);
  const invocation = httpInvocation(match, headers, {});
  request.headers['x-ms-invocation-id'] = invocation.invocationId;
  request.headers['x-forwarded-host'] = request.headers.host ?? '';
  request.headers['x-forwarded-proto'] = 'http';
  request.headers['x-forwarded-for'] = request.socket.remoteAddress ?? '';
  streaming.emit('request', request, response);
  invoke(parts.app, match.target, invocation, parts.log).catch((error: unknown) => {
    logFailure(parts.log, match, error);
    setTimeout(() => response.destroy(), forwarderTimeoutMs).unref();
  });
}

/** Without streaming the body travels in the message, and only if the request states its length: a chunked one arrives empty (facts 1.5). */
async function call(parts: FrontParts, { request, response, match }: Exchange): Promise<void> {
  try {
    const bytes = Number(request.headers['content-length']) > 0 ? await readBody(request) : undefined;
    const headers = plainHeaders(request);
    const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`);
    const invocation = httpInvocation(match, headers, {
      method: request.method ?? '',
      url: url.href,
      nullableHeaders: nullable(headers),
      nullableQuery: nullable(joinedQuery(url.searchParams)),
      nullableParams: nullable(match.parameters),
      ...(bytes && { body: { bytes } }),
    });
    const { returnValue } = await invoke(parts.app, match.target, invocation, parts.log);
    write(response, returnValue);
  } catch (error) {
    logFailure(parts.log, match, error);
    answer(response, 500);
  }
}

function write(response: ServerResponse, returnValue: TypedValue | null | undefined): void {
  const result = returnValue?.http;
  if (!result) {
    answer(response, 204);
    return;
  }
  const body = result.body as { bytes?: Uint8Array; string?: string } | undefined;
  response.writeHead(Number(result.statusCode ?? 200), { ...result.headers });
  response.end(body?.bytes ?? body?.string);
}

function httpInvocation(match: Match, headers: Readonly<Record<string, string>>, data: RpcHttp): InvocationRequest {
  const triggerMetadata: Record<string, TypedValue> = { Headers: { json: JSON.stringify(headers) } };
  for (const [name, value] of Object.entries(match.parameters)) triggerMetadata[name] = { string: value };
  const traceParent = headers['traceparent'];
  return {
    invocationId: randomUUID(),
    inputData: [{ name: match.binding, data: { http: data } }],
    triggerMetadata,
    ...(traceParent !== undefined && { traceContext: { traceParent, traceState: headers['tracestate'] ?? '' } }),
  };
}

/** Headers by lower-case name; what came several times is joined by commas, as the host does it. */
function plainHeaders(request: IncomingMessage): Record<string, string> {
  const headers = Object.create(null) as Record<string, string>;
  const raw = request.rawHeaders;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    const value = raw[index + 1]!;
    const earlier = headers[name];
    headers[name] = earlier === undefined ? value : `${earlier},${value}`;
  }
  return headers;
}

/** `?a=1&a=2` arrives as the one value `1,2`. */
function joinedQuery(query: URLSearchParams): Record<string, string> {
  return Object.fromEntries([...new Set(query.keys())].map((name) => [name, query.getAll(name).join(',')]));
}

function nullable(values: Readonly<Record<string, string>>): Record<string, Nullable> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function logFailure(log: Log, match: Match, error: unknown): void {
  log('error', match.target.metadata.name, `Executed (Failed): ${describeError(error)}`);
}
