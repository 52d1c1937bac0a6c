import dns from 'node:dns';

export interface LibcAnswer {
  readonly address: string;
  readonly family: 4 | 6;
}

/** True for the names under which local vaults are reached. */
export function isVaultHost(host: string): boolean {
  return /\.(vault|managedhsm)\.localhost\.?$/i.test(host);
}

/** The errors of a resolver that the C library's `getaddrinfo` reports as "try again"; every other one is "no such name" (facts 3.4). */
const tryAgain = new Set(['ESERVFAIL', 'EREFUSED', 'ENOTIMP', 'ETIMEOUT', 'ECONNREFUSED', 'EBADRESP']);

/**
 * Asks one name server for a host's IPv4 addresses and answers as glibc's `getaddrinfo` would through Node: NXDOMAIN, NODATA and FORMERR
 * are `ENOTFOUND`; SERVFAIL, REFUSED, NOTIMP and silence are `EAI_AGAIN`.
 *
 * @param server address with port, e.g. `127.0.0.1:5353`
 * @param family 6 finds nothing: vaults have no IPv6 address here
 */
export async function resolveLikeLibc(server: string, host: string, family: 0 | 4 | 6): Promise<LibcAnswer[]> {
  if (family === 6) throw lookupError('ENOTFOUND', host);
  const resolver = new dns.promises.Resolver({ timeout: 1000, tries: 2 });
  resolver.setServers([server]);
  try {
    const addresses = await resolver.resolve4(host);
    return addresses.map((address) => ({ address, family: 4 }));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw lookupError(tryAgain.has(code) ? 'EAI_AGAIN' : 'ENOTFOUND', host);
  }
}

function lookupError(code: 'ENOTFOUND' | 'EAI_AGAIN', hostname: string): Error {
  const errno = code === 'ENOTFOUND' ? -3008 : -3001;
  return Object.assign(new Error(`getaddrinfo ${code} ${hostname}`), { errno, code, syscall: 'getaddrinfo', hostname });
}
