/** How much a line matters. */
export type LogLevel = 'info' | 'warn' | 'error';

/** Writes lines for people and for the platform's collector. */
export interface Log {
  /**
   * One JSON object on one line of standard output, written before this returns. The caller answers for what is in it: ids, codes and
   * numbers, never a key byte, token or body (C4).
   * @returns false if the line could not be handed over.
   */
  line(level: LogLevel, message: string, about?: object): boolean;
}

/** The platform collects standard output line by line. */
export const standardLog: Log = {
  line(level, message, about = {}) {
    if (!process.stdout.writable) return false;
    try {
      process.stdout.write(`${JSON.stringify({ level, message, ...about })}\n`);
      return true;
    } catch {
      return false;
    }
  },
};
