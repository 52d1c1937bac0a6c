import { build as bundle, formatMessages } from 'esbuild';
import type { Plugin } from 'esbuild';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/**
 * Packages that ask for `import.meta` and manage without it. `open` is reached from `@azure/identity`'s interactive credential, which no
 * server uses.
 */
const managesWithoutImportMeta = ['node_modules/open/index.js'];

const app = join(root, 'functions/main.ts');

/** What few need and is large is a bundle of its own: the engine would read it at each start, though nothing of it ran. */
const telemetry = join(root, 'src/adapters/telemetry/instruments.ts');
export const telemetryBundle = 'telemetry.cjs';
const loadedLater: Plugin = {
  name: 'loaded later',
  setup({ onResolve }) {
    onResolve({ filter: /\/telemetry\/instruments\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: `./${telemetryBundle}`, external: true } : undefined,
    );
  },
};

/**
 * The Functions library from the sources that it publishes. Its own bundle keeps private fields in WeakMaps, and V8's scavenger takes what
 * those hold for alive: all of each request then outlived it until a full collection. With a function that does nothing, in the local host,
 * a scavenge took 12 ms so and 0.4 ms with the private fields of the language, to which the sources compile here.
 */
const functionsLibrary = {
  '@azure/functions': join(root, 'node_modules/@azure/functions/src/index.ts'),
  // What its sources import by names, which the ES module of that package does not export.
  '@azure/functions-extensions-base': createRequire(join(root, 'node_modules/@azure/functions/')).resolve(
    '@azure/functions-extensions-base',
  ),
};

/** Of the HTTP client only what is used: its index also brings caches, mocks, WebSockets and `fetch`, which would be read at each start. */
const httpClient: Plugin = {
  name: 'HTTP client',
  setup({ onLoad }) {
    onLoad({ filter: /\/node_modules\/undici\/index\.js$/ }, () => ({
      contents: "exports.Client = require('./lib/dispatcher/client.js')",
    }));
  },
};

/**
 * Bundles the app to what the Functions worker loads: one minified CommonJS file with a linked source map, and
 * beside it that of telemetry. `@azure/functions-core` stays
 * outside: the worker provides it (facts, functions-platform 1.1).
 *
 * @param plugins of the bundler, e.g. one that lists what is bundled
 * @returns the path of the bundle
 * @throws on any warning of the bundler, above all on `import.meta`, which would be an empty object in a CommonJS bundle
 */
export async function build(entry = app, outfile = join(root, 'dist/main.cjs'), plugins: Plugin[] = []): Promise<string> {
  const { warnings } = await bundle({
    entryPoints: {
      [basename(outfile, '.cjs')]: entry,
      ...(entry === app && { [basename(telemetryBundle, '.cjs')]: telemetry }),
    },
    outdir: dirname(outfile),
    outExtension: { '.js': '.cjs' },
    bundle: true,
    minify: true,
    sourcemap: 'linked',
    sourcesContent: false,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    // `debug` colours its lines where it finds `supports-color`, which only development tools bring; it manages without.
    external: ['@azure/functions-core', 'supports-color'],
    alias: functionsLibrary,
    legalComments: 'linked',
    logLevel: 'error',
    plugins: [loadedLater, httpClient, ...plugins],
    absWorkingDir: root,
  });
  const serious = warnings.filter(
    ({ id, location }) => id !== 'empty-import-meta' || !managesWithoutImportMeta.includes(location?.file ?? ''),
  );
  if (serious.length > 0) throw new Error((await formatMessages(serious, { kind: 'error' })).join(''));
  return outfile;
}

if (import.meta.main) {
  await build();
}
