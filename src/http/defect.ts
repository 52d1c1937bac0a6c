/** A defect of the broker as its log gets it. */
export interface Defect {
  readonly requestId: string;
  readonly route: string;
  /** Names of the error and of its causes, outermost first, e.g. `TypeError < RestError`. */
  readonly error: string;
  /** Where it was thrown: the frames of its stack, one a line. */
  readonly frames: string;
}

export type DefectLog = (defect: Defect) => void;

/**
 * Logs an error that nobody expected. Its message is left out: Node and libraries write values into messages (`The "x" argument must be
 * ... Received 'AAEC...'`), and any value here may be a key or a token (C4).
 */
export function reportDefect(log: DefectLog, error: unknown, where: Pick<Defect, 'requestId' | 'route'>): void {
  log({ ...where, error: names(error), frames: frames(error) });
}

function names(error: unknown): string {
  const found: string[] = [];
  for (let at = error; at instanceof Error && found.length < 5; at = at.cause) found.push(at.name);
  return found.join(' < ') || typeof error;
}

function frames(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  return stack
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .join('\n');
}
