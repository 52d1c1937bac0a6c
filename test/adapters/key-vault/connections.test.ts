import { createServer, type Server } from 'node:https';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/adapters/clock.ts';
import { classify } from '../../../src/adapters/key-vault/classify.ts';
import { createTransport, type Transport } from '../../../src/adapters/key-vault/transport.ts';
import { millis, seconds } from '../../../src/domain/time.ts';
import { authority } from '../../support/scripted-vault.ts';
import { keyId } from '../../support/stored-values.ts';

describe('what goes over a connection', () => {
  let server: Server;
  let transport: Transport;
  let origin: string;
  let seen: { readonly headers: IncomingHttpHeaders; readonly body: string }[];
  beforeEach(async () => {
    seen = [];
    const { key, cert } = authority.issue('localhost');
    server = createServer({ key, cert }, (request, response) => {
      void text(request).then((body) => {
        seen.push({ headers: request.headers, body });
        response.end('{}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `https://localhost:${(server.address() as AddressInfo).port}`;
    transport = createTransport({ clock: systemClock, ca: authority.cert });
  });
  afterEach(() => {
    transport.close();
    server.closeAllConnections();
    server.close();
  });

  it.each([
    ['text of ASCII', '{"value":"AQAB"}'],
    ['text beyond ASCII', '{"value":"Schl\u00fcssel \u{1f511}"}'],
    ['no text', undefined],
  ])('C1: %s arrives as it is, with its length, host and headers', async (_, body) => {
    const headers = { 'content-type': 'application/json', 'content-length': '7', 'x-one': '1' };
    const result = await transport.send({ method: 'POST', url: `${origin}/keys/a?b=c`, headers, body }, seconds(30));
    expect(result).toMatchObject({ status: 200, errno: null });
    expect(seen).toMatchObject([{ body: body ?? '', headers: { 'content-type': 'application/json', 'x-one': '1' } }]);
    expect(seen[0]!.headers).toMatchObject({ host: new URL(origin).host, 'content-length': String(Buffer.byteLength(body ?? '')) });
    expect(seen[0]!.headers).not.toHaveProperty('transfer-encoding');
  });

  it('C1: what comes in pieces, after an early hint, and with a header twice, is one answer', async () => {
    server.removeAllListeners('request');
    server.on('request', (_request, response: ServerResponse) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.writeHead(200, [
        ['x-twice', 'one'],
        ['x-twice', 'two'],
      ]);
      response.write('{"value":"Schl\u00fc');
      setImmediate(() => response.end('ssel"}'));
    });
    const result = await transport.send({ method: 'GET', url: origin, headers: {}, body: undefined }, seconds(30));
    expect(result).toMatchObject({ status: 200, errno: null, body: '{"value":"Schl\u00fcssel"}', headers: { 'x-twice': 'one, two' } });
  });

  it('C1: an answer that ends with its connection is whole, and the next request has another connection', async () => {
    server.removeAllListeners('request');
    server.on('request', (_request, response: ServerResponse) => {
      response.writeHead(200, { connection: 'close', 'transfer-encoding': 'identity' });
      response.end('{}');
    });
    for (const _ of ['first', 'second']) {
      const result = await transport.send({ method: 'GET', url: origin, headers: {}, body: undefined }, seconds(30));
      expect(result).toMatchObject({ status: 200, errno: null, body: '{}' });
    }
  });

  it('K1: hosts share no connection, though the same names are used for them', async () => {
    const { key, cert } = authority.issue('localhost');
    const other = createServer({ key, cert }, (_request, response) => response.end('other'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const bodyOf = async (url: string) => (await transport.send({ method: 'GET', url, headers: {}, body: undefined }, seconds(30))).body;
      const at = `https://localhost:${(other.address() as AddressInfo).port}`;
      expect([await bodyOf(`${origin}/a`), await bodyOf(`${at}/a`), await bodyOf(`${origin}/a`)]).toEqual(['{}', 'other', '{}']);
    } finally {
      other.closeAllConnections();
      other.close();
    }
  });
});

describe('a vault to which one connection may be open', () => {
  let server: Server;
  let transport: Transport;
  let url: string;
  let responses: ServerResponse[];
  beforeEach(async () => {
    responses = [];
    const { key, cert } = authority.issue('localhost');
    server = createServer({ key, cert }, (_request, response) => void responses.push(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `https://localhost:${(server.address() as AddressInfo).port}/`;
    transport = createTransport({ clock: systemClock, ca: authority.cert, maxConnections: 1 });
  });
  afterEach(() => {
    transport.close();
    server.closeAllConnections();
    server.close();
  });

  const send = (within = seconds(30)) => transport.send({ method: 'GET', url, headers: {}, body: undefined }, within);

  it('F1: one who waits for it while the vault answers another meets no outage: the wait is this side’s', async () => {
    const busy = send();
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    const waiting = send(millis(300));
    // The answer begins while the other waits, and holds the connection until after its deadline.
    responses[0]!.writeHead(200).flushHeaders();
    const result = await waiting;
    expect(result).toMatchObject({ status: null, errno: 'NO_CONNECTION' });
    expect(classify(result, { keyId: keyId(), operation: 'unwrapKey', kind: 'vault' })).toMatchObject({
      class: 'ambiguous',
      mayHideDenial: false,
    });
    expect(responses).toHaveLength(1);
    responses[0]!.end('{}');
    expect(await busy).toMatchObject({ status: 200, errno: null });
  });

  it('F1: one who waits for it behind a call that the vault does not answer meets an outage', async () => {
    const busy = send(seconds(1));
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    expect(await send(millis(300))).toMatchObject({ status: null, errno: 'DEADLINE' });
    expect(await busy).toMatchObject({ errno: 'DEADLINE' });
  });

  it('F3: one who may leave no more by the time that the connection is free is never sent', async () => {
    const busy = send();
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    let asked = 0;
    const allow = (may: boolean) =>
      transport.send(
        { method: 'GET', url, headers: {}, body: undefined, mayLeave: () => Promise.resolve((asked += 1) > 0 && may) },
        seconds(30),
      );
    const [held, allowed] = [allow(false), allow(true)];
    expect(asked).toBe(0);
    responses[0]!.end('{}');
    expect(await busy).toMatchObject({ status: 200 });
    expect(await held).toMatchObject({ status: null, errno: 'HELD_BACK' });
    await vi.waitFor(() => expect(responses).toHaveLength(2), 5000);
    responses[1]!.end('{}');
    expect(await allowed).toMatchObject({ status: 200, errno: null });
    expect([asked, responses.length]).toEqual([2, 2]);
  });

  it('F3: is asked once a new connection stands, and a question that fails means no', async () => {
    const question = () => Promise.reject(new Error('away'));
    const refused = transport.send({ method: 'GET', url, headers: {}, body: undefined, mayLeave: question }, seconds(30));
    expect(await refused).toMatchObject({ status: null, errno: 'HELD_BACK' });
    expect(responses).toHaveLength(0);
  });

  it('F1: a question that takes all of the time is no outage of the vault', async () => {
    const silent = new Promise<boolean>(() => undefined);
    const late = await transport.send({ method: 'GET', url, headers: {}, body: undefined, mayLeave: () => silent }, millis(300));
    expect(late).toMatchObject({ status: null, errno: 'HELD_BACK' });
    expect(responses).toHaveLength(0);
  });

  it('F3: is sent over a connection, too, that was made for one who gave up waiting for it', async () => {
    const busy = send(seconds(1));
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    expect(await send(millis(200))).toMatchObject({ status: null });
    responses[0]!.socket!.destroy();
    await busy;
    const allowed = transport.send({ method: 'GET', url, headers: {}, body: undefined, mayLeave: () => Promise.resolve(true) }, seconds(5));
    const answering = setInterval(() => responses.forEach((response) => response.writableEnded || response.end('{}')), 20);
    expect(await allowed).toMatchObject({ status: 200, errno: null });
    clearInterval(answering);
  });

  it('F3: who is sent once more is asked once more', async () => {
    const busy = send();
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    responses[0]!.end('{}');
    expect(await busy).toMatchObject({ status: 200 });
    let asked = 0;
    const mayLeave = () => Promise.resolve((asked += 1) === 1);
    const held = transport.send({ method: 'POST', url, headers: {}, body: '{}', mayLeave }, seconds(30));
    await vi.waitFor(() => expect(responses).toHaveLength(2), 5000);
    responses[1]!.socket!.destroy();
    expect(await held).toMatchObject({ status: null, errno: 'HELD_BACK' });
    expect([asked, responses.length]).toEqual([2, 2]);
  });

  it('F1: one who gives up while his connection is being made leaves it to the next, who makes it anew', async () => {
    const silent: Socket[] = [];
    const front = createTcpServer((socket) => {
      if (silent.length === 0) silent.push(socket.resume());
      else server.emit('connection', socket);
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    try {
      const at = `https://localhost:${(front.address() as AddressInfo).port}/`;
      const request = { method: 'GET', url: at, headers: {}, body: undefined };
      const first = transport.send(request, millis(300));
      const second = transport.send(request, seconds(30));
      expect(await first).toMatchObject({ status: null, errno: 'DEADLINE' });
      await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
      responses[0]!.end('{}');
      expect(await second).toMatchObject({ status: 200, errno: null });
      await vi.waitFor(() => expect(silent[0]!.destroyed).toBe(true), 5000);
    } finally {
      front.close();
    }
  });

  it('C5: what is under way, or waits, when it is closed ends', async () => {
    const busy = send();
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    transport.close();
    expect(await busy).toMatchObject({ status: null });
  });

  it('C1: one who waited for the connection of another, and met a reset on it, is sent once more, on a fresh one', async () => {
    const busy = send();
    await vi.waitFor(() => expect(responses).toHaveLength(1), 5000);
    const waiting = send();
    responses[0]!.end('{}');
    expect(await busy).toMatchObject({ status: 200 });
    await vi.waitFor(() => expect(responses).toHaveLength(2), 5000);
    responses[1]!.socket!.destroy();
    await vi.waitFor(() => expect(responses).toHaveLength(3), 5000);
    responses[2]!.end('{}');
    expect(await waiting).toMatchObject({ status: 200, errno: null });
  });
});
