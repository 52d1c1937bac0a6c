import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { readBody, type WireRequest } from '../../src/http/body.ts';
import { settled } from '../support/virtual-clock.ts';

const limit = 64;
const inTime = new Promise<never>(() => undefined);
const json = '{"dek":"AAECAwQFBgcICQoLDA0ODw"}';

/** A request whose body comes in these chunks, then ends, or breaks off. */
function requestOf(chunks: readonly Uint8Array[], { type = 'application/json', breaks = false } = {}): WireRequest {
  const waiting = chunks.values();
  const body = new ReadableStream({
    pull(controller) {
      const next = waiting.next();
      if (next.done !== true) controller.enqueue(next.value);
      else if (breaks) controller.error(new Error('broken off'));
      else controller.close();
    },
  });
  const headers = new Headers({ 'content-type': type });
  return { headers, params: {}, query: new URLSearchParams(), body };
}

function cut(text: string, pieces: number): readonly Uint8Array[] {
  const size = Math.ceil(text.length / pieces);
  return Array.from({ length: pieces }, (_, i) => new TextEncoder().encode(text.slice(i * size, (i + 1) * size)));
}

describe('C4: nothing that was received outlives its reading', () => {
  test.each([
    ['in one chunk', cut(json, 1), {}, { ok: true, value: { dek: 'AAECAwQFBgcICQoLDA0ODw' } }],
    ['in three chunks', cut(json, 3), {}, { ok: true, value: { dek: 'AAECAwQFBgcICQoLDA0ODw' } }],
    ['that is no JSON', cut(`${json}}`, 2), {}, { ok: false, refusal: { code: 'InvalidRequest' } }],
    ['of another type', cut(json, 2), { type: 'text/plain' }, { ok: false, refusal: { code: 'InvalidRequest' } }],
    ['beyond the limit', cut(json.padEnd(limit + 8), 3), {}, { ok: false, refusal: { code: 'PayloadTooLarge' } }],
  ])('a body %s', async (_name, chunks, how, outcome) => {
    const joined = vi.spyOn(Buffer, 'concat');
    onTestFinished(() => joined.mockRestore());
    expect(await readBody(requestOf(chunks, how), limit, inTime)).toMatchObject(outcome);
    const whole = joined.mock.results.map(({ value }) => value as Uint8Array);
    for (const chunk of [...chunks, ...whole]) expect(chunk.some((byte) => byte !== 0)).toBe(false);
  });

  test('a body that breaks off', async () => {
    const chunks = cut(json, 2);
    await expect(readBody(requestOf(chunks, { breaks: true }), limit, inTime)).rejects.toThrow('broken off');
    for (const chunk of chunks) expect(chunk.some((byte) => byte !== 0)).toBe(false);
  });

  test('C5: a body that is late is refused as that, and what came of it, before and after, is wiped', async () => {
    const time = Promise.withResolvers<undefined>();
    const chunks = cut(json, 2);
    const held = heldBody();
    const outcome = readBody({ ...requestOf([]), body: held.stream }, limit, time.promise);
    held.send(chunks[0]!);
    await settled();
    time.resolve(undefined);
    expect(await outcome).toMatchObject({ ok: false, refusal: { code: 'DeadlineExceeded', retryable: true } });
    expect(chunks[0]!.some((byte) => byte !== 0)).toBe(false);
    held.send(chunks[1]!);
    await settled();
    expect(chunks[1]!.some((byte) => byte !== 0)).toBe(false);
  });

  test('C5: a body that is late and then breaks off reaches nobody twice', async () => {
    const held = heldBody();
    const outcome = readBody({ ...requestOf([]), body: held.stream }, limit, Promise.resolve());
    expect(await outcome).toMatchObject({ ok: false, refusal: { code: 'DeadlineExceeded' } });
    held.breakOff();
    await settled();
  });
});

test('a body stays in memory no longer than it is looked at, however late the request ends', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const held = (): number => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  const mebibyte = 1024 * 1024;
  const before = held();
  const time = Promise.withResolvers<undefined>();
  for (let bodies = 0; bodies < 8; bodies += 1) {
    const chunks = cut(JSON.stringify('a'.repeat(4 * mebibyte)), 64);
    expect((await readBody(requestOf(chunks), 5 * mebibyte, time.promise)).ok).toBe(true);
  }
  // 8 bodies of 4 MiB were read, and none of their requests is answered yet. The test's own last body may still be there.
  await expect.poll(() => held() - before).toBeLessThan(9 * mebibyte);
  time.resolve(undefined);
});

/** A body of which comes what is sent. */
function heldBody() {
  let controller: ReadableStreamDefaultController | undefined;
  const stream = new ReadableStream({ start: (given) => void (controller = given) });
  return {
    stream,
    send: (chunk: Uint8Array) => controller?.enqueue(chunk),
    breakOff: () => controller?.error(new Error('broken off')),
  };
}

describe('what a body may be made of: it is seen before it is parsed', () => {
  const batchOf = (items: number, item: string) => `{"operation":"wrap","items":[${Array.from({ length: items }, () => item).join(',')}]}`;
  const wide = 4 * 1024 * 1024;

  test.each<[string, string, string]>([
    ['brackets in brackets', `{"items":[${'['.repeat(20)}${']'.repeat(20)}]}`, 'is nested deeper than 8 levels'],
    ['objects in objects, without an end', '{"a":'.repeat(9), 'is nested deeper than 8 levels'],
    ['more values than any request has', batchOf(20_000, '1'), 'has more than 16384 parts'],
    ['more empty objects than any request has', batchOf(9000, '{}'), 'has more than 16384 parts'],
    ['an object of more fields than any request has', `{${'"a":1,'.repeat(17_000)}"b":1}`, 'has more than 16384 parts'],
  ])('%s', async (_what, text, detail) => {
    const parsed = vi.spyOn(JSON, 'parse');
    onTestFinished(() => parsed.mockRestore());
    const outcome = await readBody(requestOf([new TextEncoder().encode(text)]), wide, inTime);
    expect(outcome).toMatchObject({ ok: false, refusal: { code: 'InvalidRequest', detail: `body: ${detail}` } });
    expect(parsed).not.toHaveBeenCalled();
  });

  test.each<[string, string]>([
    ['a full batch', batchOf(1000, '{"database":"a","wrappedDek":"b","thumbprint":"c","algorithm":"d"}')],
    ['a batch that is too large by as much again', batchOf(2000, '{"database":"a","wrappedDek":"b","thumbprint":"c","algorithm":"d"}')],
    ['brackets and commas in texts, also behind quotes that are escaped', JSON.stringify({ a: `"${'[,{'.repeat(20_000)}\\`, b: '\\"[' })],
    ['objects beside one another', batchOf(20, '{"a":[[]]}')],
  ])('%s is parsed', async (_what, text) => {
    const outcome = await readBody(requestOf([new TextEncoder().encode(text)]), wide, inTime);
    expect(outcome).toEqual({ ok: true, value: JSON.parse(text) as unknown });
  });
});
