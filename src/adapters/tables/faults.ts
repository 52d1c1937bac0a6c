import { RestError } from '@azure/data-tables';
import type { Millis } from '../../domain/time.ts';
import { StoreAway, StoreRefused } from '../../ports/store.ts';

/** A condition that did not hold: the row is there already, is not there, or has another version. */
export type Condition = 'exists' | 'absent' | 'changed';

/** What a failed call means to us; everything else is `StoreAway`. */
export type Meaning = Condition | 'tableMissing' | 'reset' | StoreAway;

/** Names the status and code alone: an SDK error carries the request with its authorisation. */
export function meaningOf(error: unknown): Meaning {
  if (error instanceof StoreAway) return error;
  if (!(error instanceof RestError)) return new StoreAway('the call to the store failed');
  const name = serviceCode(error) ?? error.code ?? 'no code';
  return error.statusCode === undefined ? meaningOfSilence(name) : meaningOfAnswer(error.statusCode, name);
}

/** The service closes idle connections, at times in the very moment of a call: such a reset says nothing of the store. */
function meaningOfSilence(code: string): Meaning {
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : new StoreAway(`no answer from the store: ${code}`);
}

/** The service also answers 404 and 409 for other reasons, of a whole account for instance: only these codes speak of the row. */
const meaningOfCode: Readonly<Record<string, 'exists' | 'absent' | 'tableMissing'>> = {
  '409 EntityAlreadyExists': 'exists',
  '404 ResourceNotFound': 'absent',
  '404 EntityNotFound': 'absent',
  '404 TableNotFound': 'tableMissing',
};

function meaningOfAnswer(status: number, code: string): Meaning {
  const meaning = status === 412 ? 'changed' : meaningOfCode[`${status} ${code}`];
  if (meaning !== undefined) return meaning;
  const away = `the store answered ${status}: ${code}`;
  return status === 400 || status === 413 ? new StoreRefused(away) : new StoreAway(away);
}

/** The service's own code, e.g. `TableNotFound`. In a transaction's error it is `code` itself. */
function serviceCode(error: RestError): string | undefined {
  const details = error.details;
  if (typeof details !== 'object' || details === null || !('odataError' in details)) return undefined;
  const { odataError } = details;
  if (typeof odataError !== 'object' || odataError === null || !('code' in odataError)) return undefined;
  return typeof odataError.code === 'string' ? odataError.code : undefined;
}

/** Gives `call` until `limit`: the signal ends it, and if it does not heed the signal (a token step may not), the answer is not waited for. */
export async function within<T>(limit: Millis, call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new StoreAway(`no answer from the store within ${limit} ms`));
      abort.abort();
    }, limit);
  });
  try {
    return await Promise.race([call(abort.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
