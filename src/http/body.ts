import type { HttpRequest } from '@azure/functions';
import { done, refuse } from '../domain/refusal.ts';
import { tooBulky } from './json-bulk.ts';
import { invalid } from './problem.ts';
import type { WireOutcome } from './route.ts';

/** The parts of a request that are read. */
export type WireRequest = Pick<HttpRequest, 'headers' | 'params' | 'query' | 'body'>;

const jsonType = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads and parses a JSON body of at most `limit` bytes, also where it comes in chunks without a length.
 * @param timeOver resolves when the body has to be there.
 * @returns undefined for an empty body. `PayloadTooLarge` as soon as the limit is passed, `DeadlineExceeded` when the time is over: what
 * comes after that is not read. The stream is left as it is then, since cancelling it would close the connection that the answer has to go
 * over.
 */
export async function readBody(request: WireRequest, limit: number, timeOver: Promise<unknown>): Promise<WireOutcome<unknown>> {
  if (request.body === null) return done(undefined);
  if (Number(request.headers.get('content-length') ?? 0) > limit) return tooLarge(limit);
  const bytes = await collect(request.body, limit, timeOver);
  if (bytes === 'late') return late;
  if (bytes === 'long') return tooLarge(limit);
  if (bytes.length === 0) return done(undefined);
  const contentType = request.headers.get('content-type');
  try {
    if (contentType !== null && !jsonType.test(contentType)) return invalid({ field: 'content-type', detail: 'must be application/json' });
    return parse(bytes);
  } finally {
    // The body of a wrap holds a DEK (C4).
    bytes.fill(0);
  }
}

const late = refuse('DeadlineExceeded', 'the body had not come when the time for the request was over', { retryable: true });

function tooLarge(limit: number): WireOutcome<never> {
  return { ok: false, refusal: { code: 'PayloadTooLarge', detail: `the body may have at most ${limit} bytes` } };
}

/**
 * All bytes of a stream, in one array of their own; or that they are more than `limit`, or late. The stream's own are wiped in any case, also
 * those that come when nobody waits for them any more. `timeOver` may come long after: what waits for it until then holds no byte.
 */
async function collect(
  stream: NonNullable<WireRequest['body']>,
  limit: number,
  timeOver: Promise<unknown>,
): Promise<Uint8Array | 'long' | 'late'> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let isLate = false;
  const wipe = (): void => {
    for (const chunk of chunks.splice(0)) chunk.fill(0);
  };

  async function readAll(): Promise<'whole' | 'long'> {
    for (let length = 0; ;) {
      const { done: ended, value } = (await reader.read()) as { done: boolean; value?: Uint8Array };
      if (ended || value === undefined) return 'whole';
      chunks.push(value);
      length += value.length;
      if (isLate) wipe();
      if (isLate || length > limit) return 'long';
    }
  }

  const giveUp = timeOver.then((): 'late' => {
    isLate = true;
    return 'late';
  });
  try {
    const end = await Promise.race([readAll(), giveUp]);
    return end === 'whole' ? Buffer.concat(chunks) : end;
  } finally {
    wipe();
  }
}

/** What a parser's own message would show of the body is not told. */
function parse(bytes: Uint8Array): WireOutcome<unknown> {
  const bulky = tooBulky(bytes);
  if (bulky !== undefined) return invalid({ field: 'body', detail: bulky });
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return invalid({ field: 'body', detail: 'is not valid UTF-8' });
  }
  try {
    return done(JSON.parse(text));
  } catch {
    return invalid({ field: 'body', detail: 'is not valid JSON' });
  }
}
