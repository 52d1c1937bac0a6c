import { mock } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { boundEngineMemory } from '../../src/adapters/engine-memory.ts';

/**
 * A process of its own, since the engine's flags are those of a whole process: prints how many MiB its old generation comes to on the average of
 * all rounds, `bound` or not. With a young generation of 1 MiB all that lives for a round reaches it.
 */

function sizeMiB(): number {
  return (getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0) / 1024 / 1024;
}

const rounds = 1000;
const kept: object[] = [];
let sum = 0;

mock.timers.enable({ apis: ['setTimeout'] });
if (process.argv[2] === 'bound') boundEngineMemory();
mock.timers.tick(10_000);
for (let round = 0; round < rounds; round += 1) {
  kept[round % 8] = Array.from({ length: 10_000 }, (_, k) => ({ k, list: [k, k] }));
  sum += sizeMiB();
}
console.log(sum / rounds);
