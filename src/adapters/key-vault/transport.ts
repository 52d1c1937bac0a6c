import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request as openRequest } from 'node:https';
import { millis, type Instant, type Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';

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

interface Host {
  readonly pooled: Agent;
  /** Keeps nothing, so each of its requests has a connection of its own. */
  readonly fresh: Agent;
  /** When a response of this host began last, by the monotonic clock; -Infinity before the first. */
  answeredAt: number;
}

const staleErrnos: ReadonlySet<string | null> = new Set(['ECONNRESET', 'EPIPE']);
const noHeaders: IncomingHttpHeaders = Object.freeze({});

/** The broker's HTTPS, one pool of kept connections a host. */
export function createTransport(options: TransportOptions): Transport {
  const { clock, maxConnections = 256, maxBodyBytes = 64 * 1024 } = options;
  const ca = options.ca === undefined ? undefined : [options.ca].flat();
  const hosts = new Map<string, Host>();

  function hostOf(origin: string): Host {
    const known = hosts.get(origin);
    if (known) return known;
    const trust = ca === undefined ? {} : { ca };
    const host: Host = {
      answeredAt: -Infinity,
      pooled: new Agent({ keepAlive: true, maxSockets: maxConnections, ...trust }),
      fresh: new Agent({ keepAlive: false, ...trust }),
    };
    hosts.set(origin, host);
    return host;
  }

  return {
    async send(request, within) {
      const url = new URL(request.url);
      if (url.protocol !== 'https:') {
        const now = clock.now();
        return { sentAt: now, receivedAt: now, status: null, headers: noHeaders, body: null, errno: brokenOff.notHttps };
      }
      const deadline = clock.elapsed() + within;
      const host = hostOf(url.origin);
      const first = await sendOnce({ request, url, host, agent: host.pooled, within, clock, maxBodyBytes });
      if (!first.reused || first.result.status !== null || !staleErrnos.has(first.result.errno)) return first.result;
      const left = millis(deadline - clock.elapsed());
      return (await sendOnce({ request, url, host, agent: host.fresh, within: left, clock, maxBodyBytes })).result;
    },
    close() {
      for (const { pooled, fresh } of hosts.values()) {
        pooled.destroy();
        fresh.destroy();
      }
      hosts.clear();
    },
  };
}

interface Send {
  readonly request: WireRequest;
  readonly url: URL;
  readonly host: Host;
  readonly agent: Agent;
  readonly within: Millis;
  readonly clock: Clock;
  readonly maxBodyBytes: number;
}

function sendOnce({
  request,
  url,
  host,
  agent,
  within,
  clock,
  maxBodyBytes,
}: Send): Promise<{ readonly result: WireResult; readonly reused: boolean }> {
  return new Promise((resolve) => {
    let sentAt = clock.now();
    const begunAt = clock.elapsed();
    let connected = false;
    let response: IncomingMessage | undefined;
    let settled = false;
    const settle = (errno: string | null, body: string | null): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      if (errno !== null) outgoing.destroy();
      const answer = { status: response?.statusCode ?? null, headers: response?.headers ?? noHeaders, body, errno };
      resolve({ result: { sentAt, receivedAt: clock.now(), ...answer }, reused: outgoing.reusedSocket });
    };
    const outgoing = openRequest({
      agent,
      method: request.method,
      hostname: url.hostname,
      port: url.port,
      path: url.pathname + url.search,
      headers: request.headers,
    });
    const late = (): string => (!connected && host.answeredAt > begunAt ? brokenOff.noConnection : brokenOff.deadline);
    const timer = setTimeout(() => settle(late(), null), Math.max(within, 0));
    // A request that waited for a connection is sent when it gets one.
    outgoing.on('socket', () => {
      connected = true;
      sentAt = clock.now();
    });
    outgoing.on('error', (error) => settle(errnoOf(error), null));
    outgoing.on('response', (incoming) => {
      response = incoming;
      host.answeredAt = clock.elapsed();
      readBody(incoming, maxBodyBytes, settle);
    });
    outgoing.end(request.body);
  });
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
