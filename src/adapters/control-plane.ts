import { millis, type Instant, type Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import type { Clock } from '../ports/clock.ts';
import type { ControlPlane } from '../ports/control-plane.ts';
import { beforeDeadline } from './deadline.ts';
import type { Identities } from './identity.ts';
import { readJson } from './json.ts';

export interface ControlPlaneOptions {
  readonly clock: Clock;
  readonly identities: Identities;
  /** Origin of Azure Resource Manager, e.g. `https://management.azure.com`; null: it may not be read, and every answer is `unknown`. */
  readonly endpoint: string | null;
  /** Scope of its tokens; default `https://management.azure.com/.default`. */
  readonly scope?: string;
  /** How long an answer is remembered; default 30 s (F9). */
  readonly rememberMs?: Millis;
  /** Longest time that one question may take; callers share it and have deadlines of their own; default 5 s. */
  readonly timeoutMs?: Millis;
}

type Status = 'exists' | 'deleted' | 'unknown';

/** Azure's list of deleted vaults, read with the broker's own identity (`Microsoft.KeyVault/vaults/read`). */
export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { endpoint, rememberMs = millis(30_000) } = options;
  const remembered = new Map<string, { readonly until: number; readonly askedAt: Instant; readonly status: Promise<Status> }>();

  return {
    async vaultStatus(vault, within, since) {
      if (endpoint === null) return 'unknown';
      const now = options.clock.elapsed();
      const known = remembered.get(vault.uri);
      const fresh = known && now < known.until && (since === null || known.askedAt >= since);
      const asked = fresh ? known : { until: now + rememberMs, askedAt: options.clock.now(), status: ask(vault, endpoint, options) };
      remembered.set(vault.uri, asked);
      return (await beforeDeadline(asked.status, within)) ?? 'unknown';
    },
  };
}

async function ask(vault: Vault, endpoint: string, options: ControlPlaneOptions): Promise<Status> {
  const { identities, scope = 'https://management.azure.com/.default', timeoutMs = millis(5000) } = options;
  const url = deletedVaultUrl(vault, endpoint);
  if (url.protocol !== 'https:' && url.hostname !== '127.0.0.1') return 'unknown'; // No token leaves this machine in the clear.
  const token = await identities.token(null, scope, timeoutMs);
  if (!token.ok) return 'unknown';
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token.token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    return readStatus(response.status, await response.text());
  } catch {
    return 'unknown';
  }
}

/** The vault's name in Azure is the first label of its host; the broker's name for it may be another. */
function deletedVaultUrl({ uri, kind, subscriptionId, region }: Vault, endpoint: string): URL {
  const [name = ''] = new URL(uri).hostname.split('.');
  const list = kind === 'managedHsm' ? 'deletedManagedHSMs' : 'deletedVaults';
  const path = ['subscriptions', subscriptionId, 'providers', 'Microsoft.KeyVault', 'locations', region, list, name];
  return new URL(`/${path.map(encodeURIComponent).join('/')}?api-version=2026-02-01`, endpoint);
}

/** 404 says that the vault is not among the deleted ones, unless what was not found is the subscription or the provider. */
function readStatus(status: number, body: string): Status {
  if (status === 200) return readJson(body) === undefined ? 'unknown' : 'deleted';
  if (status !== 404) return 'unknown';
  const code = readJson(readJson(body)?.['error'])?.['code'];
  return typeof code === 'string' && /subscription|provider|location/i.test(code) ? 'unknown' : 'exists';
}
