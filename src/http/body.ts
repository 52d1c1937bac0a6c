import type { HttpRequest } from '@azure/functions';
import { done } from '../domain/refusal.ts';
import { invalid } from './problem.ts';
import type { WireOutcome } from './route.ts';

/** The parts of a request that are read. */
export type WireRequest = Pick<HttpRequest, 'headers' | 'params' | 'query' | 'body'>;

const jsonType = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads and parses a JSON body of at most `limit` bytes, also where it comes in chunks without a length.
 * @returns undefined for an empty body. `PayloadTooLarge` as soon as the limit is passed: what is beyond it is not read. The stream is
 * left as it is then, since cancelling it would close the connection that the answer has to go over.
 */
export async function readBody(request: WireRequest, limit: number): Promise<WireOutcome<unknown>> {
  if (request.body === null) return done(undefined);
  if (Number(request.headers.get('content-length') ?? 0) > limit) return tooLarge(limit);
  const bytes = await collect(request.body, limit);
  if (bytes === undefined) return tooLarge(limit);
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

function tooLarge(limit: number): WireOutcome<never> {
  return { ok: false, refusal: { code: 'PayloadTooLarge', detail: `the body may have at most ${limit} bytes` } };
}

/** All bytes of a stream, in one array of their own; undefined once there are more than `limit`. The stream's own are wiped in any case. */
async function collect(stream: NonNullable<WireRequest['body']>, limit: number): Promise<Uint8Array | undefined> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done: ended, value } = (await reader.read()) as { done: boolean; value?: Uint8Array };
      if (ended || value === undefined) return Buffer.concat(chunks, length);
      chunks.push(value);
      length += value.length;
      if (length > limit) return undefined;
    }
  } finally {
    for (const chunk of chunks) chunk.fill(0);
  }
}

/** What a parser's own message would show of the body is not told. */
function parse(bytes: Uint8Array): WireOutcome<unknown> {
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
