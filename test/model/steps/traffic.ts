import fc from 'fast-check';
import { protectorGroup } from '../../../src/domain/server.ts';
import { plans } from '../world/fleet.ts';
import { keyNamed } from '../world/vaults.ts';
import type { KeyName } from '../world/vaults.ts';
import type { Asked, World } from '../world/world.ts';
import { arbitraryOf, at, server } from './step.ts';
import type { Taking, Weighted } from './step.ts';

/** What hosts, timers and machines do: operations, time, runs of the watch, kills. `unwrapFormer`: by a key that was the protector (K5). */
export type TrafficStep =
  | { readonly do: 'ask'; readonly at: number; readonly server: number; readonly what: What }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'watch'; readonly at: number }
  | { readonly do: 'kill'; readonly at: number };

export const whats = ['wrap', 'unwrap', 'unwrapFormer'] as const;
export type What = (typeof whats)[number];

export const ask = arbitraryOf('ask', { at, server, what: fc.constantFrom<What>('unwrap', 'unwrap', 'wrap', 'unwrapFormer') });

/** Time passes: one of these spans. */
export function pause(...ms: readonly number[]): Weighted['arbitrary'] {
  return arbitraryOf('pass', { ms: fc.constantFrom(...ms) });
}

export const trafficSteps: readonly Weighted[] = [
  { weight: 12, arbitrary: ask },
  { weight: 10, arbitrary: pause(3, 20, 100, 400, 950, 1100, 2100, 5000, 16_000, 31_000, 65_000, 310_000) },
  { weight: 1, arbitrary: pause(660_000, 1_200_000) },
  { weight: 2, arbitrary: arbitraryOf('watch', { at }) },
  { weight: 1, arbitrary: arbitraryOf('kill', { at }) },
];

export const takingTraffic: Taking<TrafficStep> = {
  ask: (world, one) => askFor(world, one.at, one.server, one.what),
  pass: (world, { ms }) => world.pass(ms),
  watch: (world, one) => world.watch(one.at),
  kill: (world, one) => world.kill(one.at),
};

/** Asks by the keys that are linked now; a server without any is asked all the same. */
export function askFor(world: World, place: number, index: number, what: What): Asked {
  const { name } = plans[index]!;
  const registered = world.newest(name);
  const protector = registered && protectorGroup(registered)?.primary;
  const former = what === 'unwrapFormer' ? registered?.links.findLast(({ role }) => role === 'additional') : undefined;
  const link = former ?? protector;
  const key: KeyName = link === undefined ? 'k1' : keyNamed(link.keyId);
  return world.ask(place, { server: name, operation: what === 'wrap' ? 'wrap' : 'unwrap', key });
}
