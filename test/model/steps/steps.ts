import fc from 'fast-check';
import type { World } from '../world/world.ts';
import { episodes } from './episodes.ts';
import { operatorSteps, takingOperatorSteps } from './operators.ts';
import type { OperatorStep } from './operators.ts';
import type { Taking } from './step.ts';
import { storeSteps, takingStoreSteps } from './store-and-clocks.ts';
import type { StoreStep } from './store-and-clocks.ts';
import { takingTraffic, trafficSteps } from './traffic.ts';
import type { TrafficStep } from './traffic.ts';
import { takingVaultSteps, vaultSteps } from './vault-faults.ts';
import type { VaultStep } from './vault-faults.ts';

/** Everything that can happen to two instances, their vaults, the store and the fleet. */
export type Step = TrafficStep | VaultStep | StoreStep | OperatorStep;

const taking: Taking<Step> = { ...takingTraffic, ...takingVaultSteps, ...takingStoreSteps, ...takingOperatorSteps };

/** Lets it happen. What it sets going goes on beside the next steps; only `pass` waits. */
export async function take(world: World, one: Step): Promise<void> {
  const how = taking[one.do] as (world: World, step: Step) => unknown;
  await how(world, one);
}

const step: fc.Arbitrary<Step> = fc.oneof(...trafficSteps, ...vaultSteps, ...storeSteps, ...operatorSteps);

export interface Sequence {
  readonly seed: number;
  /** Whether the control plane may be read (F9). */
  readonly controlPlane: boolean;
  readonly steps: readonly Step[];
}

/** @param maxLength of the sequences, in episodes of one to a dozen steps. */
export function sequences(maxLength: number): fc.Arbitrary<Sequence> {
  const episode = fc.oneof({ weight: 18, arbitrary: fc.tuple(step) }, ...episodes);
  return fc.record({
    seed: fc.integer({ min: 1, max: 1_000_000 }),
    controlPlane: fc.boolean(),
    steps: fc.array(episode, { minLength: 1, maxLength, size: 'max' }).map((all) => all.flat()),
  });
}
