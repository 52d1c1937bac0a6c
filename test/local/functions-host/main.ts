import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startHost } from './host.ts';
import { describeError, writeLog } from './log.ts';

/**
 * A local Functions host as a process: `node main.ts --port 7071 [--app directory]`.
 * Tells a parent process `{ready: url}` or `{failed: reason}`; ends on SIGTERM, SIGINT, or when the parent has gone.
 */
const { values } = parseArgs({ options: { port: { type: 'string', default: '7071' }, app: { type: 'string', default: '.' } } });

try {
  const host = await startHost({ directory: resolve(values.app), port: Number(values.port), log: writeLog });
  let stopping: Promise<void> | undefined;
  const stop = (): void => {
    stopping ??= host.stop().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('disconnect', stop);
  process.send?.({ ready: host.url });
} catch (error) {
  writeLog('critical', 'host', describeError(error));
  const failed = error instanceof Error ? error.message : String(error);
  if (process.send) process.send({ failed }, () => process.exit(1));
  else process.exit(1);
}
