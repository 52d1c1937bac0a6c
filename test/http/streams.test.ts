import { createServer, request as send, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { batchLineRules } from '../../src/http/batch-line.ts';
import { createReadJson } from '../../src/http/read-json.ts';
import { routes } from '../../src/http/routes.ts';
import { good, goodRoads } from '../support/wire-cases.ts';
import { testWire, type Received } from '../support/wire.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Hands requests to the wire as the Functions library does in streaming mode: the socket's own stream becomes the body. */
async function listenWire(id = 'wrap'): Promise<number> {
  const wire = testWire(goodRoads);
  const route = routes.find((one) => one.id === id)!;
  return listen((incoming, outgoing) => {
    const headers = incoming.headers as Record<string, string>;
    const native = new Request('http://localhost/', {
      method: 'POST',
      headers,
      body: incoming as unknown as ReadableStream,
      duplex: 'half',
    });
    const request = { headers: native.headers, params: good[id]?.params ?? {}, query: new URLSearchParams(), body: native.body };
    void wire.handle(route, request as Parameters<typeof wire.handle>[1]).then((answer: Received) => {
      outgoing.writeHead(answer.status, answer.headers).end(answer.text);
    });
  });
}

/** Sends chunks without a length until an answer comes, or all are sent. */
function sendChunks(port: number, chunks: Iterable<Uint8Array>): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: 'Bearer KeyBroker.Host', 'content-type': 'application/json' };
    const outgoing = send({ port, host: '127.0.0.1', method: 'POST', path: '/', headers });
    let isAnswered = false;
    outgoing.on('error', (error) => isAnswered || reject(error));
    outgoing.on('response', (incoming: IncomingMessage) => {
      isAnswered = true;
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('end', () => {
        outgoing.destroy();
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(parts).toString() });
      });
    });
    const more = chunks[Symbol.iterator]();
    const step = (): void => {
      const next = more.next();
      if (isAnswered) return;
      if (next.done) outgoing.end();
      else outgoing.write(next.value, () => setImmediate(step));
    };
    step();
  });
}

describe('over a socket', () => {
  test('a chunked body is read', async () => {
    const json = Buffer.from(JSON.stringify(good['wrap']?.body));
    const answer = await sendChunks(await listenWire(), [json.subarray(0, 5), json.subarray(5)]);
    expect(answer.status).toBe(200);
  });

  test('a chunked body without end is answered 413 while it is still being sent', async () => {
    const port = await listenWire();
    function* endless() {
      for (;;) yield Buffer.alloc(4096, 0x20);
    }
    const answer = await sendChunks(port, endless());
    expect([answer.status, (JSON.parse(answer.text) as { code: string }).code]).toEqual([413, 'PayloadTooLarge']);
  });
});

describe('over a socket: batches', () => {
  /** Sends the beginning of a body, and goes away once it has come. */
  function sendAndLeave(port: number): Promise<void> {
    return new Promise((resolve) => {
      const headers = { authorization: 'Bearer KeyBroker.Host', 'content-type': 'application/json' };
      const outgoing = send({ port, host: '127.0.0.1', method: 'POST', path: '/', headers });
      outgoing.on('error', () => undefined);
      outgoing.on('close', resolve);
      outgoing.write('{"operation":"wrap",', () => setImmediate(() => outgoing.destroy()));
    });
  }

  test('C5: callers that go away in the middle of their bodies give up their turns', async () => {
    const port = await listenWire('batch');
    for (let gone = 0; gone < batchLineRules.atOnceOfOne; gone += 1) await sendAndLeave(port);
    const answer = await sendChunks(port, [Buffer.from(JSON.stringify(good['batch']?.body))]);
    expect(answer.status).toBe(200);
  });
});

describe("reading the issuer's documents", () => {
  test('a small JSON document is read', async () => {
    const port = await listen((_incoming, outgoing) => outgoing.end('{"keys":[]}'));
    expect(await createReadJson(5000)(`http://127.0.0.1:${port}/`)).toEqual({ keys: [] });
  });

  test.each<[string, RequestListener]>([
    ['a redirect', (_incoming, outgoing) => outgoing.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
    ['an error status', (_incoming, outgoing) => outgoing.writeHead(503).end('{}')],
    ['what is not JSON', (_incoming, outgoing) => outgoing.end('<html>')],
    ['more than 1 MiB', (_incoming, outgoing) => outgoing.end(`"${'x'.repeat(1024 * 1024)}"`)],
  ])('%s is refused', async (_what, listener) => {
    const port = await listen(listener);
    await expect(createReadJson(5000)(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  });

  test('one that never ends is given up', async () => {
    const port = await listen((_incoming, outgoing) => outgoing.write('{'));
    await expect(createReadJson(50)(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  });
});
