import { Agent } from 'node:https';

/** The connections to one host. */
export interface Host {
  readonly pooled: Agent;
  /** Keeps nothing, so each of its requests has a connection of its own. */
  readonly fresh: Agent;
  /** When a response of this host began last, by the monotonic clock; -Infinity before the first. */
  answeredAt: number;
}

/** Where a request goes, read from its URL. */
export interface Address {
  readonly host: Host;
  /** Host name and port, as the header `Host` says them. */
  readonly authority: string;
  readonly hostname: string;
  readonly port: string;
  /** With the query. */
  readonly path: string;
}

/** URLs read once, and one pool of kept connections a host. */
export interface Addresses {
  /** Undefined for anything but https. */
  of(url: string): Address | undefined;
  /** Closes idle connections, and busy ones with their requests. */
  close(): void;
}

export interface AddressesOptions {
  /** Connections to one host at once. */
  readonly maxConnections: number;
  /** Certificate authorities in PEM; undefined: Node's own list. */
  readonly ca: readonly string[] | undefined;
}

/** A key has three URLs. */
const capacity = 4096;

export function createAddresses({ maxConnections, ca }: AddressesOptions): Addresses {
  const trust = ca === undefined ? {} : { ca: [...ca] };
  const hosts = new Map<string, Host>();
  const known = new Map<string, Address>();

  function hostOf(origin: string): Host {
    const met = hosts.get(origin);
    if (met) return met;
    const host: Host = {
      answeredAt: -Infinity,
      pooled: new OneHostAgent({ keepAlive: true, maxSockets: maxConnections, ...trust }),
      fresh: new OneHostAgent({ keepAlive: false, ...trust }),
    };
    hosts.set(origin, host);
    return host;
  }

  return {
    of(url) {
      const read = known.get(url);
      if (read) return read;
      const { protocol, origin, host: authority, hostname, port, pathname, search } = new URL(url);
      if (protocol !== 'https:') return undefined;
      const address = { host: hostOf(origin), authority, hostname, port, path: pathname + search };
      if (known.size >= capacity) known.clear();
      known.set(url, address);
      return address;
    },
    close() {
      for (const { pooled, fresh } of hosts.values()) {
        pooled.destroy();
        fresh.destroy();
      }
      hosts.clear();
      known.clear();
    },
  };
}

/**
 * Serves one host with one set of options, so that its connections need no name to be told apart by. Node would make one of two dozen TLS
 * options several times a request.
 */
class OneHostAgent extends Agent {
  override getName(): string {
    return 'the host';
  }
}
