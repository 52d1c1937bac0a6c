import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as openRequest, type Agent, type RequestOptions } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { millis, type Instant, type Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { createAddresses, type Address } from './addresses.ts';

export interface TransportOptions {
  readonly clock: Clock;
  /** Certificate authorities in PEM to trust instead of Node's own list. */
  readonly ca?: string | readonly string[];
  /** Connections to one vault at once; a request beyond waits for one, within its deadline; default 256. */
  readonly maxConnections?: number;
  /** Largest response body that is read, in bytes; default 64 KiB. A key operation's answer has about one. */
  readonly maxBodyBytes?: number;
}

export interface WireRequest {
  readonly method: string;
  /** Absolute; anything but https is refused before a byte is sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Asked when the connection stands; where it answers false, or rejects, nothing is sent. Absent: the request may leave. */
  readonly mayLeave?: (() => Promise<boolean>) | undefined;
}

/** What really happened on the wire. It may hold a plaintext DEK in `body`: never kept, logged or passed on whole. */
export interface WireResult {
  /** When the request left (the last one, where a stale connection made it leave twice), and when the outcome was known. */
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
  /** Null where no response headers came. */
  readonly status: number | null;
  readonly headers: IncomingHttpHeaders;
  /** Null where the body did not come to its end. */
  readonly body: string | null;
  /** Why there is no complete response: an errno, a code of Node's TLS or HTTP, or one of `brokenOff`; null if there is one. */
  readonly errno: string | null;
}

/** Outcomes that are the transport's own decision and have no errno. */
export const brokenOff = {
  /** The deadline passed, before or within the response. */
  deadline: 'DEADLINE',
  /** The deadline passed before a connection was free, while the host answered others: a matter of this side. */
  noConnection: 'NO_CONNECTION',
  tooLarge: 'BODY_TOO_LARGE',
  /** The body is compressed although no encoding was accepted. */
  encoded: 'BODY_ENCODED',
  notHttps: 'NOT_HTTPS',
  /** `mayLeave` said no: nothing was sent. */
  heldBack: 'HELD_BACK',
} as const;

export interface Transport {
  /**
   * Sends one request, follows no redirect and reads the whole response within `within`. A reset on a reused connection, before any response, is
   * the mark of a keep-alive connection that the other side had closed: it is sent once more, on a fresh one (C1). Never rejects.
   */
  send(request: WireRequest, within: Millis): Promise<WireResult>;
  /** Closes idle connections, and busy ones with their requests. */
  close(): void;
}

const staleErrnos: ReadonlySet<string | null> = new Set(['ECONNRESET', 'EPIPE']);
const noHeaders: IncomingHttpHeaders = Object.freeze({});

/** The broker's HTTPS, one pool of kept connections a host. */
export function createTransport(options: TransportOptions): Transport {
  const { clock, maxConnections = 256, maxBodyBytes = 64 * 1024 } = options;
  const ca = options.ca === undefined ? undefined : [options.ca].flat();
  const addresses = createAddresses({ maxConnections, ca });

  return {
    async send(request, within) {
      const address = addresses.of(request.url);
      if (address === undefined) return unsent(clock, brokenOff.notHttps);
      const deadline = clock.elapsed() + within;
      const first = await sendOnce({ request, address, agent: address.host.pooled, within, clock, maxBodyBytes });
      if (!first.reused || first.result.status !== null || !staleErrnos.has(first.result.errno)) return first.result;
      const left = millis(deadline - clock.elapsed());
      return (await sendOnce({ request, address, agent: address.host.fresh, within: left, clock, maxBodyBytes })).result;
    },
    close: () => addresses.close(),
  };
}

interface Send {
  readonly request: WireRequest;
  readonly address: Address;
  readonly agent: Agent;
  readonly within: Millis;
  readonly clock: Clock;
  readonly maxBodyBytes: number;
}

function sendOnce({
  request,
  address,
  agent,
  within,
  clock,
  maxBodyBytes,
}: Send): Promise<{ readonly result: WireResult; readonly reused: boolean }> {
  return new Promise((resolve) => {
    let sentAt = clock.now();
    const begunAt = clock.elapsed();
    let connected = false;
    let reused = false;
    let asking = false;
    let response: IncomingMessage | undefined;
    let settled = false;
    const settle = (errno: string | null, body: string | null): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      if (errno !== null) outgoing.destroy();
      const answer = { status: response?.statusCode ?? null, headers: response?.headers ?? noHeaders, body, errno };
      resolve({ result: { sentAt, receivedAt: clock.now(), ...answer }, reused });
    };
    const { host, hostname, port, path } = address;
    const { method, body = '' } = request;
    const length = Buffer.byteLength(body);
    const opened = open({ agent, method, hostname, port, path, headers: rawHeaders(request, address, length) });
    if (typeof opened === 'string') {
      resolve({ result: unsent(clock, opened), reused });
      return;
    }
    const outgoing = opened;
    const late = (): string => {
      // Nothing was sent yet, and who was slow is who says whether it may be.
      if (asking) return brokenOff.heldBack;
      return !connected && host.answeredAt > begunAt ? brokenOff.noConnection : brokenOff.deadline;
    };
    const timer = setTimeout(() => settle(late(), null), Math.max(within, 0));
    // A request that waited for a connection is sent when it gets one.
    outgoing.on('socket', (socket) => {
      connected = true;
      reused = outgoing.reusedSocket || stands(socket);
      sentAt = clock.now();
    });
    outgoing.on('error', (error) => settle(errnoOf(error), null));
    outgoing.on('response', (incoming) => {
      response = incoming;
      host.answeredAt = clock.elapsed();
      readBody(incoming, maxBodyBytes, settle);
    });
    // ASCII alone, as whatever the SDK sends, is the same bytes in Latin-1, which costs Node less to write.
    const send = (): unknown => outgoing.end(body, length === body.length ? 'latin1' : 'utf8');
    const { mayLeave } = request;
    if (mayLeave === undefined) send();
    else whenConnected(outgoing, () => void sendIf(mayLeave));

    async function sendIf(allowed: () => Promise<boolean>): Promise<void> {
      asking = true;
      const may = await allowed().catch(() => false);
      asking = false;
      if (settled) return;
      sentAt = clock.now();
      if (may) send();
      else settle(brokenOff.heldBack, null);
    }
  });
}

/** The errno where Node refuses to make it: no request can have a header with a line break in it, as a token might. */
function open(options: RequestOptions): ClientRequest | string {
  try {
    return openRequest(options);
  } catch (error) {
    return errnoOf(error as NodeJS.ErrnoException);
  }
}

function unsent(clock: Clock, errno: string): WireResult {
  const now = clock.now();
  return { sentAt: now, receivedAt: now, status: null, headers: noHeaders, body: null, errno };
}

/** Whether the connection was made before. Node's own `reusedSocket` says so sooner, but not of a request that waited for the connection of another. */
function stands(socket: Socket): boolean {
  return socket instanceof TLSSocket && !socket.connecting && socket.getProtocol() !== null && socket.getFinished() !== undefined;
}

/** Calls back when the connection of a request stands that was not ended yet: until then nothing of it is written. */
function whenConnected(outgoing: ClientRequest, then: () => void): void {
  outgoing.once('socket', (socket) => {
    if (stands(socket)) then();
    else socket.once('secureConnect', then);
  });
}

/** Names and values in turn, which Node writes as they are: it adds neither host nor length to them, and keeps no map of them. */
function rawHeaders({ method, headers, body }: WireRequest, { authority }: Address, length: number): string[] {
  const raw = ['host', authority];
  for (const [name, value] of Object.entries(headers)) if (name !== 'content-length') raw.push(name, value);
  if (method !== 'GET' || body !== undefined) raw.push('content-length', String(length));
  return raw;
}

/** Reads the body to its end. The chunks may hold a plaintext DEK and are wiped (C4); the string made of them cannot be. */
function readBody(incoming: IncomingMessage, maxBytes: number, settle: (errno: string | null, body: string | null) => void): void {
  const encoding = incoming.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    settle(brokenOff.encoded, null);
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  const wipe = (): void => {
    for (const chunk of chunks) chunk.fill(0);
  };
  incoming.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) settle(brokenOff.tooLarge, null);
  });
  incoming.on('end', () => {
    const only = chunks.length === 1 ? chunks[0] : undefined;
    if (only) {
      settle(null, only.toString('utf8'));
    } else {
      const whole = Buffer.concat(chunks, size);
      settle(null, whole.toString('utf8'));
      whole.fill(0);
    }
  });
  // A response that is cut off ends in `error` or, destroyed from this side, in `close` alone.
  incoming.on('error', (error) => settle(errnoOf(error), null));
  incoming.on('close', () => {
    settle('ECONNRESET', null);
    wipe();
  });
}

/** The errno or code of a failed connection. Where several addresses were tried, that of one that this machine could route to at all. */
function errnoOf(error: NodeJS.ErrnoException): string {
  const tried = error instanceof AggregateError ? (error.errors as readonly NodeJS.ErrnoException[]) : [];
  const code = tried.find((one) => one.code !== undefined && one.code !== 'ENETUNREACH')?.code ?? error.code;
  return code ?? 'UNKNOWN';
}
