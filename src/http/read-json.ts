import type { ReadJson } from './key-set.ts';

const mostBytes = 1024 * 1024;

/**
 * GETs a small JSON document of the issuer.
 * @param timeoutMs covers everything, the last byte of the body included.
 */
export function createReadJson(timeoutMs: number): ReadJson {
  return async (url) => {
    // A redirect could lead to a host that nobody configured.
    const response = await fetch(url, {
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
      headers: { accept: 'application/json' },
    });
    if (!response.ok || response.body === null) throw new TypeError(`status ${response.status}`);
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > mostBytes) throw new TypeError('too long');
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks, length).toString()) as unknown;
  };
}
