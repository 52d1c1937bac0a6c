import type { Millis } from '../domain/time.ts';
import type { Reply, VaultPort } from '../ports/vault.ts';

/** How long the newest calls to each vault took, as this instance saw them. */
export interface Latencies {
  of(vault: string): { readonly p50Ms: number | null; readonly p99Ms: number | null };
}

/** So many newest calls count. */
const kept = 512;

class Recent {
  readonly #ring = new Float64Array(kept);
  #count = 0;

  note(ms: Millis): void {
    this.#ring[this.#count % kept] = ms;
    this.#count += 1;
  }

  percentiles(): { p50Ms: number | null; p99Ms: number | null } {
    const sorted = this.#ring.slice(0, Math.min(this.#count, kept)).sort();
    const at = (share: number): number | null => sorted[Math.ceil(share * sorted.length) - 1] ?? null;
    return { p50Ms: at(0.5), p99Ms: at(0.99) };
  }
}

/** The same vaults, with the latency of each answered call noted. */
export function withLatencies(vaults: VaultPort): { readonly vaults: VaultPort; readonly latencies: Latencies } {
  const recent = new Map<string, Recent>();

  function noted<T>(vault: string, reply: Reply<T>): Reply<T> {
    let ring = recent.get(vault);
    if (ring === undefined) recent.set(vault, (ring = new Recent()));
    ring.note(reply.ms);
    return reply;
  }

  return {
    vaults: {
      wrap: async (target, dek, algorithm, within) => noted(target.vault.name, await vaults.wrap(target, dek, algorithm, within)),
      unwrap: async (target, wrapped, algorithm, within) =>
        noted(target.vault.name, await vaults.unwrap(target, wrapped, algorithm, within)),
      get: async (target, within) => noted(target.vault.name, await vaults.get(target, within)),
    },
    latencies: {
      of: (vault) => recent.get(vault)?.percentiles() ?? { p50Ms: null, p99Ms: null },
    },
  };
}
