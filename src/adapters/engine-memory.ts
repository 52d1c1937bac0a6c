import { setFlagsFromString } from 'node:v8';

/** So much more than is in use the engine's old generation may hold before it is cleared of what is not. */
const growsByPercent = 100;

/** A start is over by then; clearing what it leaves behind on the way would make it 12 ms longer. */
const startMs = 10_000;

/**
 * Keeps the engine, once the app has started, from taking memory for garbage: left alone, its old generation fills to four times of what is in
 * use before it is cleared. The smallest instance of the platform has 512 MiB. The engine's own limits are options of the command line, which
 * the platform takes from no setting (facts, functions-platform 5.2); this flag is read after each collection, and may be set while it runs.
 * The young generation is left as it is: bound to 32 MiB, a wrap takes up to half as much CPU again, since the engine also shrinks it where
 * there is little traffic.
 */
export function boundEngineMemory(): void {
  setTimeout(() => setFlagsFromString(`--heap-growing-percent=${growsByPercent}`), startMs).unref();
}
