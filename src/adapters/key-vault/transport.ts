import type { Millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import { createAddresses, type Addresses } from './addresses.ts';
import { RoundTrip } from './round-trip.ts';
import { brokenOff, noHeaders, type WireRequest, type WireResult } from './wire.ts';

export interface TransportOptions {
  readonly clock: Clock;
  /** Certificate authorities in PEM to trust instead of Node's own list. */
  readonly ca?: string | readonly string[];
  /** Connections to one vault at once; a request beyond waits for one, within its deadline; default 256. */
  readonly maxConnections?: number;
  /** Largest response body that is read, in bytes; default 64 KiB. A key operation's answer has about one. */
  readonly maxBodyBytes?: number;
}

export interface Transport {
  /**
   * Sends one request, follows no redirect and reads the whole response within `within`. A reset on a reused connection, before any response, is
   * the mark of a keep-alive connection that the other side had closed: it is sent once more, on a fresh one (C1). Never rejects.
   */
  send(request: WireRequest, within: Millis): Promise<WireResult>;
  /** Closes idle connections, and busy ones with their requests. */
  close(): void;
}

/** The broker's HTTPS, one set of kept connections a host. */
export function createTransport(options: TransportOptions): Transport {
  const { clock, maxConnections = 256, maxBodyBytes = 64 * 1024 } = options;
  const ca = options.ca === undefined ? undefined : [options.ca].flat();
  let addresses: Addresses | Promise<Addresses> | undefined;

  /** The HTTP client is read when it is needed first: a cold start would wait for it. */
  async function loaded(): Promise<Addresses> {
    const { Connections } = await import('./connections.ts');
    return (addresses = createAddresses((origin) => new Connections(origin, maxConnections, ca)));
  }

  function send(known: Addresses, request: WireRequest, within: number): Promise<WireResult> {
    const address = known.of(request.url);
    if (address === undefined) return Promise.resolve(unsent(clock, brokenOff.notHttps));
    return new Promise((resolve) => new RoundTrip({ request, address, clock, maxBodyBytes, resolve }).begin(within));
  }

  return {
    send(request, within) {
      addresses ??= loaded();
      if (!(addresses instanceof Promise)) return send(addresses, request, within);
      const began = clock.elapsed();
      return addresses.then((known) => send(known, request, began + within - clock.elapsed()));
    },
    close() {
      if (addresses instanceof Promise) void addresses.then((later) => later.close());
      else addresses?.close();
    },
  };
}

function unsent(clock: Clock, errno: string): WireResult {
  const now = clock.now();
  return { sentAt: now, receivedAt: now, status: null, headers: noHeaders, body: null, errno };
}
