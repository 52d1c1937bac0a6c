import type { Connections } from './connections.ts';

/** A server of vaults. */
export interface Host {
  readonly connections: Connections;
  /** When a response of this host began last, by the monotonic clock; -Infinity before the first. */
  answeredAt: number;
}

/** Where a request goes, read from its URL. */
export interface Address {
  readonly host: Host;
  /** With the query. */
  readonly path: string;
}

/** URLs read once, and one set of connections a host. */
export interface Addresses {
  /** Undefined for anything but https. */
  of(url: string): Address | undefined;
  /** Breaks off what is under way. */
  close(): void;
}

/** A key has three URLs. */
const capacity = 4096;

export function createAddresses(connectionsTo: (origin: string) => Connections): Addresses {
  const hosts = new Map<string, Host>();
  const known = new Map<string, Address>();

  function hostOf(origin: string): Host {
    const met = hosts.get(origin);
    if (met) return met;
    const host: Host = { answeredAt: -Infinity, connections: connectionsTo(origin) };
    hosts.set(origin, host);
    return host;
  }

  return {
    of(url) {
      const read = known.get(url);
      if (read) return read;
      const { protocol, origin, pathname, search } = new URL(url);
      if (protocol !== 'https:') return undefined;
      const address = { host: hostOf(origin), path: pathname + search };
      if (known.size >= capacity) known.clear();
      known.set(url, address);
      return address;
    },
    close() {
      for (const { connections } of hosts.values()) connections.close();
      hosts.clear();
      known.clear();
    },
  };
}
