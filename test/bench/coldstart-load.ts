import { createRequire } from 'node:module';
import { createCore } from '../local/functions-host/core.ts';
import { provideCore } from '../local/functions-host/seam.ts';

/** In a fresh process: prints how many ms it takes to load the app, as the Functions worker loads it: `node coldstart-load.ts <bundle>`. */
const [, , bundle = ''] = process.argv;
provideCore(createCore(() => undefined).api);
const require = createRequire(import.meta.url);
const began = performance.now();
require(bundle);
console.log(performance.now() - began);
// The app has begun to look for its tables, which are not there.
process.exit(0);
