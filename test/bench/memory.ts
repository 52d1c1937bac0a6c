import type { Bench } from './bench.ts';
import { count, unthrottledFleet, unwrapShot, wrapShot } from './fleet.ts';
import { residentMiB } from './process-cost.ts';
import { firstBroker, raisedBudgets, withRig } from './rig.ts';

const parts = 20;

/** Memory of the broker process over 200,000 operations (at the default of 5 seconds), four wraps to an unwrap. */
export const memory: Bench = ({ seconds, note }) =>
  withRig(raisedBudgets, async (rig) => {
    note('memory: the points are raised, and the vault is a Managed HSM, which does not throttle');
    const databases = await unthrottledFleet(rig);
    const { url, pid } = firstBroker(rig);
    const shots = databases.flatMap((database) => [...count(4).map(() => wrapShot(url, database)), unwrapShot(url, database)]);
    const perPart = Math.round((seconds * 40_000) / parts);
    const resident: number[] = [];
    for (const part of count(parts)) {
      const { status, firstProblem } = await rig.http({ shots, pace: { pace: 'closed', count: perPart, concurrency: 16 } });
      if (status.some((one) => one !== 200)) throw new Error(`memory: ${firstProblem ?? ''}`);
      resident.push(residentMiB(pid));
      note(`memory: ${(part + 1) * perPart} operations, ${(resident.at(-1) ?? 0).toFixed(0)} MiB`);
    }
    // The first fifth fills what is meant to be filled: code, pools, caches that have a limit.
    const [early, late] = [Math.max(...resident.slice(0, parts / 5)), Math.max(...resident.slice(-parts / 5))];
    const bench = 'memory';
    return [
      { bench, figure: 'operations', unit: '', runs: [perPart * parts] },
      { bench, figure: 'in RAM at most, first fifth', unit: 'MiB', runs: [early] },
      { bench, figure: 'in RAM at most, last fifth', unit: 'MiB', runs: [late] },
      { bench, figure: 'last to first', unit: 'ratio', runs: [late / early], target: { atMost: 1.1 } },
    ];
  });
