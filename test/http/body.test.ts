import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { readBody, type WireRequest } from '../../src/http/body.ts';

const limit = 64;
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
    expect(await readBody(requestOf(chunks, how), limit)).toMatchObject(outcome);
    const whole = joined.mock.results.map(({ value }) => value as Uint8Array);
    for (const chunk of [...chunks, ...whole]) expect(chunk.some((byte) => byte !== 0)).toBe(false);
  });

  test('a body that breaks off', async () => {
    const chunks = cut(json, 2);
    await expect(readBody(requestOf(chunks, { breaks: true }), limit)).rejects.toThrow('broken off');
    for (const chunk of chunks) expect(chunk.some((byte) => byte !== 0)).toBe(false);
  });
});
