import { globSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createCore } from './core.ts';
import type { Core } from './core.ts';
import type { Log } from './log.ts';
import { provideCore } from './seam.ts';
import type { ProgrammingModel } from './seam.ts';

/** An app that has been loaded as the Node worker loads it. */
export interface App {
  readonly core: Core;
  readonly model: ProgrammingModel;
  /** The library's own proxy server, if the app asked for HTTP streaming. It takes requests by `emit`; it never listens. */
  readonly streaming: http.Server | undefined;
}

interface Package {
  readonly main?: string;
  readonly type?: string;
}

/**
 * Loads every file that `main` of the app's package.json names (a glob), locks the registrations and starts the app.
 *
 * @param directory absolute path of the app's root
 * @throws if a file throws, or if no function was registered: the library only warns of a core that it did not find (facts 1.1), and
 *   an app without functions would answer 404 to everything.
 */
export async function loadApp(directory: string, log: Log): Promise<App> {
  const core = createCore(log);
  provideCore(core.api);
  const { main, type } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Package;
  if (main === undefined) throw new Error(`${directory}/package.json has no "main"`);
  const files = globSync(main, { cwd: directory }).sort();
  if (files.length === 0) throw new Error(`no file matches "main": ${main} in ${directory} (has it been built?)`);
  for (const file of files) await loadFile(join(directory, file), type === 'module');
  const model = core.programmingModel();
  if (!model || core.functions.size === 0) throw new Error(`no function was registered by ${files.join(', ')}`);
  core.lock();
  const streaming = await startStreaming(model);
  await core.runHooks('appStart', { hookData: {} });
  return { core, model, streaming };
}

/** The worker imports ES modules and requires the rest. */
async function loadFile(path: string, packageIsModule: boolean): Promise<void> {
  const extension = extname(path);
  if (extension === '.mjs' || (extension === '.js' && packageIsModule)) await import(pathToFileURL(path).href);
  else createRequire(import.meta.url)(path);
}

/**
 * Lets the library set up its capabilities. With `enableHttpStream` it makes an HTTP server there that listens on all interfaces, without
 * any check of who calls (facts 1.5). That server is caught and kept from listening: the host hands it each request itself.
 */
async function startStreaming(model: ProgrammingModel): Promise<http.Server | undefined> {
  let caught: http.Server | undefined;
  const createServer = http.createServer;
  http.createServer = () => {
    const server = createServer();
    server.listen = (...args: unknown[]) => {
      const listening = args.at(-1);
      if (typeof listening === 'function') queueMicrotask(() => void Reflect.apply(listening, server, []));
      return server;
    };
    server.address = () => ({ address: '127.0.0.1', family: 'IPv4', port: 1 });
    caught = server;
    return server;
  };
  try {
    await model.getCapabilities({});
  } finally {
    http.createServer = createServer;
  }
  return caught;
}
