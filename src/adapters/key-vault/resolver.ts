import { Resolver } from 'node:dns/promises';
import type { Millis } from '../../domain/time.ts';

export interface SecondResolverOptions {
  /** Name servers, `address` or `address:port`, other than those that the machine uses; with none, nothing is ever confirmed. */
  readonly servers: readonly string[];
  /** Longest time a question may take, in milliseconds. */
  readonly timeoutMs: Millis;
}

/** Whether a name has gone from the DNS. */
export interface SecondResolver {
  /** `gone` only on NXDOMAIN; an address, no data, any failure and no answer within `within` are `unconfirmed`. Never rejects. */
  confirm(host: string, within: Millis): Promise<'gone' | 'unconfirmed'>;
}

/**
 * Asks name servers of the operator's choice. Needed because `getaddrinfo` says ENOTFOUND for a name without addresses, a malformed answer and a
 * name that does not exist alike, while c-ares tells them apart (facts, key-vault-behaviour 3.4); and a private zone may lack a name that exists.
 */
export function createSecondResolver({ servers, timeoutMs }: SecondResolverOptions): SecondResolver {
  return {
    async confirm(host, within) {
      // c-ares throws at a timeout that is no whole number of milliseconds.
      const timeout = Math.floor(Math.min(timeoutMs, within));
      if (servers.length === 0 || timeout < 1) return 'unconfirmed';
      const resolver = new Resolver({ timeout, tries: 1 });
      resolver.setServers(servers);
      // The resolver's timeout counts for each server; this one for all of them.
      const timer = setTimeout(() => resolver.cancel(), timeout);
      try {
        await resolver.resolve4(host);
        return 'unconfirmed';
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'ENOTFOUND' ? 'gone' : 'unconfirmed';
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
