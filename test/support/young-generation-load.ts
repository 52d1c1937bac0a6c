import { mock } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { boundYoungGeneration } from '../../src/adapters/young-generation.ts';

/** A process of its own: prints how many MiB its young generation comes to, `bound` or not. The engine's flags are those of a whole process. */

function sizeMiB(): number {
  return (getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0) / 1024 / 1024;
}

const kept: object[] = [];

/** Makes objects that outlive a collection or two, until the young generation has grown so far, or for so many rounds. */
function load(untilMiB: number, rounds: number): void {
  for (let round = 0; round < rounds && sizeMiB() < untilMiB; round += 1) {
    kept[round % 8] = Array.from({ length: 40_000 }, (_, k) => ({ k, list: [k, k] }));
  }
}

mock.timers.enable({ apis: ['setInterval'] });
if (process.argv[2] === 'bound') boundYoungGeneration();
load(16, 10_000);
mock.timers.tick(1000);
load(32, 10_000);
mock.timers.tick(1000);
load(Infinity, 400);
console.log(sizeMiB());
