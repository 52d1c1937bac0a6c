import fc from 'fast-check';
import type { KeyOperation } from '../../../src/domain/key.ts';
import { identities } from '../world/fleet.ts';
import { troubles } from '../world/vaults.ts';
import type { KeyName, PartialOutage, Trouble, VaultName, VaultTruth } from '../world/vaults.ts';
import type { World } from '../world/world.ts';
import { arbitraryOf, key, vault } from './step.ts';
import type { Taking, Weighted } from './step.ts';

/** What befalls vaults and keys: outages, throttling, each kind of denial, deletion and recovery. */
export type VaultStep =
  | { readonly do: 'trouble'; readonly vault: VaultName; readonly trouble: Trouble | null }
  | { readonly do: 'partial'; readonly vault: VaultName; readonly partial: PartialOutage | null }
  | { readonly do: 'forbid'; readonly vault: VaultName; readonly identity: string | null; readonly operations: readonly KeyOperation[] }
  | { readonly do: 'key'; readonly vault: VaultName; readonly key: KeyName; readonly state: 'enabled' | 'disabled' | 'deleted' }
  | { readonly do: 'expire'; readonly vault: VaultName; readonly key: KeyName; readonly expired: boolean }
  | { readonly do: 'delete'; readonly vault: VaultName; readonly answers: 'nxdomain' | '503' | null };

export const everything: readonly KeyOperation[] = ['get', 'wrapKey', 'unwrapKey'];

const identity = fc.constantFrom(...identities);
const operations = fc.constantFrom<readonly KeyOperation[]>(everything, everything, ['unwrapKey'], ['wrapKey'], ['get'], [], []);

/** The vault stops answering. */
export const outageBegins = arbitraryOf('trouble', { vault, trouble: fc.constantFrom<Trouble>('refuse', 'hang', 'error5xx') });
/** The vault fails one operation and answers the others. */
export const partialOutageBegins = arbitraryOf('partial', {
  vault,
  partial: fc.record({
    operation: fc.constantFrom('wrapKey' as const, 'wrapKey' as const, 'unwrapKey' as const),
    how: fc.constantFrom('hang' as const, 'error5xx' as const),
  }),
});
/** Somebody takes access away. */
export const denialBegins = fc.oneof(
  arbitraryOf('forbid', { vault, identity, operations: fc.constant(everything) }),
  arbitraryOf('key', { vault, key, state: fc.constantFrom('disabled' as const, 'deleted' as const) }),
  arbitraryOf('trouble', { vault, trouble: fc.constant('firewall' as const) }),
);

export const vaultSteps: readonly Weighted[] = [
  {
    weight: 5,
    arbitrary: arbitraryOf('trouble', {
      vault,
      trouble: fc.constantFrom(null, null, null, ...troubles, 'refuse', 'hang', 'error5xx', 'throttle'),
    }),
  },
  { weight: 1, arbitrary: fc.oneof(partialOutageBegins, arbitraryOf('partial', { vault, partial: fc.constant(null) })) },
  { weight: 3, arbitrary: arbitraryOf('forbid', { vault, identity, operations }) },
  {
    weight: 2,
    arbitrary: arbitraryOf('key', {
      vault,
      key,
      state: fc.constantFrom('enabled' as const, 'enabled' as const, 'disabled' as const, 'deleted' as const),
    }),
  },
  { weight: 1, arbitrary: arbitraryOf('expire', { vault, key, expired: fc.boolean() }) },
  { weight: 2, arbitrary: arbitraryOf('delete', { vault, answers: fc.constantFrom('nxdomain' as const, '503' as const, null) }) },
];

/** Changes the truth of a vault. */
export function change(world: World, name: VaultName, how: (truth: VaultTruth) => unknown): void {
  const truth = world.vaults.truth.get(name)!;
  how(truth);
  truth.changedAt = world.now();
}

export const takingVaultSteps: Taking<VaultStep> = {
  trouble: (world, one) => change(world, one.vault, (truth) => (truth.trouble = one.trouble)),
  partial: (world, one) => change(world, one.vault, (truth) => (truth.partial = one.partial)),
  forbid: (world, one) => change(world, one.vault, (truth) => truth.forbidden.set(one.identity, new Set(one.operations))),
  key: (world, one) => change(world, one.vault, (truth) => (truth.keys.get(one.key)!.state = one.state)),
  expire: (world, one) => change(world, one.vault, (truth) => (truth.keys.get(one.key)!.expired = one.expired)),
  delete(world, { vault: name, answers }) {
    if (answers !== null) world.deletions.add(name);
    change(world, name, (truth) => (truth.deleted = answers));
  },
};
