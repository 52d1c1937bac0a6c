import { mock } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { boundEngineMemory } from '../../src/adapters/engine-memory.ts';

/** A process of its own, since the engine's flags are those of a whole process: prints how many MiB its generations come to, `bound` or not. */

type Generation = 'new_space' | 'old_space';

function sizeMiB(generation: Generation): number {
  return (getHeapSpaceStatistics().find(({ space_name: name }) => name === generation)?.space_size ?? 0) / 1024 / 1024;
}

const kept: object[] = [];
let oldMiB = 0;

/** Makes objects that outlive a collection or two, until the young generation has grown so far, or for so many rounds. */
function load(untilMiB: number, rounds: number): void {
  for (let round = 0; round < rounds && sizeMiB('new_space') < untilMiB; round += 1) {
    kept[round % 8] = Array.from({ length: 40_000 }, (_, k) => ({ k, list: [k, k] }));
    oldMiB = Math.max(oldMiB, sizeMiB('old_space'));
  }
}

mock.timers.enable({ apis: ['setInterval'] });
if (process.argv[2] === 'bound') boundEngineMemory();
load(16, 10_000);
mock.timers.tick(1000);
load(32, 10_000);
mock.timers.tick(1000);
load(Infinity, 600);
console.log(JSON.stringify({ young: sizeMiB('new_space'), old: oldMiB }));
