import { settlesMs } from './law.ts';
import type { Bench, Law } from './law.ts';

/** A 429 that must be told to the budget, while whoever met it lives. */
interface Untold {
  readonly vault: string;
  readonly instance: string;
  readonly at: number;
}

/** How long it may take to tell the budget of a 429. */
const toldWithinMs = 3000;

/** F2, F7: a circuit opens by outages and nothing else; every 429 slows the budget of its vault. */
export function onlyOutagesOpen({ world, counts, breaks }: Bench): Law {
  /** By instance and vault: true time of the last outage. */
  const outages = new Map<string, number>();
  /** By instance and vault: true time until which the circuit was open; Infinity while it is. */
  const openUntil = new Map<string, number>();
  let untold: Untold[] = [];

  return {
    answered({ vault, instance, outcome }) {
      if (outcome === 'outage') outages.set(`${instance}|${vault}`, world.now());
      if (outcome !== 'throttled') return;
      counts.throttled += 1;
      untold.push({ vault, instance, at: world.now() });
    },

    throttled(vault, instance) {
      untold = untold.filter((one) => one.vault !== vault || one.instance !== instance);
    },

    circuit(vault, instance, state) {
      const place = `${instance}|${vault}`;
      openUntil.set(place, state === 'open' ? Infinity : world.now());
      // Opossum counts by real time, which stands still here.
      if (state === 'closed' || world.options.circuits === 'opossum') return;
      if (outages.get(place) !== world.now()) breaks('F2', `${instance} opens the circuit to ${vault} without an outage`);
    },

    /** What is stored of circuits may come late, where the store was away, but never of a circuit that was not open. */
    health(vault, before, after) {
      for (const instance of Object.keys(after.openAt)) {
        if (before.openAt[instance] !== undefined) continue;
        const since = world.now() - (openUntil.get(`${instance}|${vault}`) ?? -Infinity);
        if (since > settlesMs) breaks('F2', `${instance} stores an open circuit to ${vault} that is closed`);
      }
    },

    look() {
      const alive = new Set(world.places.map(({ instance }) => instance.name));
      for (const { vault, instance, at } of untold) {
        if (world.now() - at > toldWithinMs && alive.has(instance))
          breaks('F7', `${instance} met a 429 of ${vault} at ${at} and slows nothing`);
      }
    },
  };
}
