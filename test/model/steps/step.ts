import fc from 'fast-check';
import type { Step } from './steps.ts';
import { vaultNames } from '../world/vaults.ts';
import type { KeyName, VaultName } from '../world/vaults.ts';
import { plans } from '../world/fleet.ts';
import type { World } from '../world/world.ts';

/** How each kind of step is taken. What a step says is plain data, so that fast-check can shrink a failing sequence and print it. */
export type Taking<S extends { readonly do: string }> = {
  readonly [K in S['do']]: (world: World, step: Extract<S, { readonly do: K }>) => unknown;
};

/** A kind of step with how often it comes, beside all others. */
export interface Weighted {
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<Step>;
}

/** A step of the kind with random values in it. */
export function arbitraryOf<K extends Step['do']>(
  kind: K,
  values: { readonly [V in keyof Omit<Extract<Step, { readonly do: K }>, 'do'>]: fc.Arbitrary<Extract<Step, { readonly do: K }>[V]> },
): fc.Arbitrary<Step> {
  return fc.record({ do: fc.constant(kind), ...values }) as fc.Arbitrary<unknown> as fc.Arbitrary<Step>;
}

export const at = fc.constantFrom(0, 1);
export const server = fc.nat({ max: plans.length - 1 });
// Most of what happens, happens where most primaries are.
export const vault = fc.constantFrom<VaultName>('west', 'west', 'west', 'west', 'north', 'north', 'south', 'east');
export const key = fc.constantFrom<KeyName>('k1', 'k1', 'k2', 'k3');
/** A primary's vault and up to three standbys'. */
export const group = fc.shuffledSubarray<VaultName>([...vaultNames], { minLength: 1 });
