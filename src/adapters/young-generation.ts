import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves of it together: what an instance under full load has little use beyond, as was measured (a wrap takes 187 µs of CPU with 32 as with 128 MiB). */
const enoughBytes = 32 * 1024 * 1024;

/** It takes minutes of load to grow so far. */
const lookEveryMs = 1000;

/**
 * Ends the growth of the engine's young generation at 32 MiB, or where it is a second later. It would double up to 128 MiB in the first minutes
 * of load, and never shrink as long as there is any: on an instance of 512 MiB a fifth of all. The engine's own limit is an option of the
 * command line, which the platform takes from no setting (facts, functions-platform 5.2); the factor of its growth may be changed at any time.
 */
export function boundYoungGeneration(): void {
  const look = setInterval(() => {
    if (youngGenerationBytes() < enoughBytes) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    clearInterval(look);
  }, lookEveryMs);
  look.unref();
}

function youngGenerationBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0;
}
