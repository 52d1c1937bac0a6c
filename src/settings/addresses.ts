import { isIP } from 'node:net';
import type { HostSuffix } from '../domain/vault-host.ts';

/** A suffix of vaults' hosts, with the ports that it allows. */
export function hostSuffix(part: string): HostSuffix | undefined {
  const [, suffix, port] = /^((?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){2,8})(?::(\*|[1-9]\d{0,4}))?$/.exec(part.toLowerCase()) ?? [];
  if (suffix === undefined || Number(port) > 65_535) return undefined;
  return { suffix, port: port === undefined ? 443 : port === '*' ? 'any' : Number(port) };
}

/** The address of a resolver. */
export function resolver(part: string): string | undefined {
  const [, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([1-9]\d{0,4}))?$/.exec(part) ?? [];
  const isAddress = isIP(bracketed ?? plain ?? '') === (bracketed === undefined ? 4 : 6);
  return isAddress && (port === undefined || Number(port) <= 65_535) ? part : undefined;
}

/** What the tables' client needs of a connection string; it throws where something is missing. */
export function isConnectionString(given: string): boolean {
  const pairs = new Map(
    given.split(';').map((pair): [string, string] => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
  const has = (...names: readonly string[]): boolean => names.every((name) => (pairs.get(name) ?? '') !== '');
  return pairs.get('UseDevelopmentStorage') === 'true' || has('AccountName', 'AccountKey') || has('TableEndpoint', 'SharedAccessSignature');
}
