import fc from 'fast-check';
import { parseArgs } from 'node:util';
import { play } from './play.ts';
import { sequences } from './steps/steps.ts';

/*
 * `npm run soak -- --minutes 30 [--seed 7] [--path 12:0:3]`: the model of outage and denial for as long as one likes. Prints how many
 * sequences passed; a failure is printed with the seed and the path that play it again, shrunk, and ends the run with status 1.
 */

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' }, path: { type: 'string' } },
});
const minutes = Number(values.minutes);
const firstSeed = Number(values.seed ?? Date.now() % 2 ** 31);
if (!(minutes > 0) || !Number.isSafeInteger(firstSeed)) {
  console.error('usage: npm run soak -- --minutes N [--seed S] [--path P]');
  process.exit(2);
}

const batch = 1000;
const end = Date.now() + minutes * 60_000;
let passed = 0;
const sums = new Map<string, number>();

for (let seed = firstSeed; ; seed += 1) {
  const sequence = fc.asyncProperty(sequences(seed % 2 === 0 ? 8 : 20), async (one) => {
    for (const [law, times] of Object.entries(await play(one))) sums.set(law, (sums.get(law) ?? 0) + times);
  });
  const left = Math.max(1, end - Date.now());
  const run = await fc.check(sequence, {
    seed,
    numRuns: batch,
    interruptAfterTimeLimit: left,
    ...(values.path === undefined ? {} : { path: values.path }),
  });
  // What was interrupted by the time limit alone is no failure.
  if (run.failed && run.counterexample !== null) {
    console.error(`failed after ${passed} sequences; play it again with --seed ${run.seed} --path ${run.counterexamplePath}`);
    console.error(run.errorInstance);
    console.error(JSON.stringify(run.counterexample, null, 1));
    process.exitCode = 1;
    break;
  }
  passed += run.numRuns;
  console.log(`${passed} sequences, seed ${seed}: ${[...sums].map(([law, times]) => `${law} ${times}`).join(', ')}`);
  if (Date.now() >= end || values.path !== undefined) break;
}
