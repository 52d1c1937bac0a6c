import { protectorGroup } from '../../src/domain/server.ts';
import { standingAt } from '../../src/policy/server-state.ts';
import { registerServer, revalidate } from './steps/operators.ts';
import { askFor, whats } from './steps/traffic.ts';
import { change } from './steps/vault-faults.ts';
import { database, plans } from './world/fleet.ts';
import { vaultNames } from './world/vaults.ts';
import type { Asked, World } from './world/world.ts';

/** When it is looked whether all are served again: two minutes in all. */
const looksAfterMs = [5000, 10_000, 15_000, 15_000, 15_000, 15_000, 15_000, 15_000];

/**
 * Never stuck: all is well again, people revalidate where the state asks for it, and within two minutes every server is served by its primary,
 * at every instance.
 * @returns what is stuck; undefined if nothing is.
 */
export async function recover(world: World, check: () => void): Promise<string | undefined> {
  makeWell(world);
  let last: readonly Asked[] = [];
  for (const ms of looksAfterMs) {
    await world.pass(ms - 2000);
    plans.forEach((_, index) => doWhatPeopleDo(world, index));
    await world.pass(1000);
    last = world.places.flatMap((_, place) => plans.flatMap((__, index) => whats.map((what) => askFor(world, place, index, what))));
    await world.pass(1000);
    check();
    if (last.every(servedAtHome)) return undefined;
  }
  const stuck = last.find((asked) => !servedAtHome(asked));
  return `all is well for two minutes, and ${stuck?.operation} for ${stuck?.server} on ${stuck?.instance.name} is answered ${JSON.stringify(stuck?.answer)}`;
}

/** Revalidates where the state asks for it, and puts in order what was taken out or left half done. */
function doWhatPeopleDo(world: World, index: number): void {
  const { name } = plans[index]!;
  const registered = world.newest(name);
  if (registered === undefined || protectorGroup(registered) === undefined || !registered.databases.has(database)) {
    registerServer(world, 0, index);
    return;
  }
  const { state } = standingAt(registered.server, world.clock.now());
  if (state === 'needsRevalidation' || state === 'inaccessible') revalidate(world, 0, name);
}

function makeWell(world: World): void {
  for (const name of vaultNames) {
    change(world, name, (truth) => {
      truth.trouble = null;
      truth.partial = null;
      truth.deleted = null;
      truth.forbidden.clear();
      for (const one of truth.keys.values()) Object.assign(one, { state: 'enabled', expired: false });
    });
  }
  for (const place of world.places) {
    Object.assign(place.line, { away: null, roundTripMs: 4, losesAnswers: 0 });
    if (Math.abs(place.skew) > 1000) place.skew = 0;
  }
  world.lineChangedAt = world.now();
  world.jumpedAt = world.now();
}

function servedAtHome({ answer }: Asked): boolean {
  return answer?.ok === true && !answer.value.failover;
}
