import type { LogLevel } from './seam.ts';

export type Log = (level: LogLevel, source: string, message: string) => void;

/** One line a log on stdout, or on stderr from `warning` on. `trace` and `debug` are dropped, as by the default level of host.json. */
export const writeLog: Log = (level, source, message) => {
  if (level === 'trace' || level === 'debug') return;
  const line = `[${level}] ${source}: ${message.replaceAll('\r', '\\r').replaceAll('\n', '\\n')}\n`;
  (level === 'information' ? process.stdout : process.stderr).write(line);
};

/** Text of a thrown value, with its stack if it has one. */
export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
