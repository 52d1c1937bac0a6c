import { constants } from 'node:crypto';
import { createServer as createHttpsServer, type Server, type ServerOptions } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/adapters/clock.ts';
import { classify } from '../../../src/adapters/key-vault/classify.ts';
import { createTransport, type Transport } from '../../../src/adapters/key-vault/transport.ts';
import { millis, seconds } from '../../../src/domain/time.ts';
import { authority, vaultHeaders } from '../../support/scripted-vault.ts';
import { keyId } from '../../support/stored-values.ts';

const question = { keyId: keyId(), operation: 'unwrapKey', kind: 'vault' } as const;

let front: TcpServer;
let server: Server;
let transport: Transport;
let origin: string;
/** What the vault does with a request, by its path. */
let does: Record<string, (request: IncomingMessage, response: ServerResponse) => void>;
/** Paths of the requests that the vault saw. */
let seen: string[];
/** Connections with a handshake. */
let open: Set<Socket>;
/** Connections that get no handshake while this is so. */
let silent: Socket[] | undefined;

async function start(options: ServerOptions = {}): Promise<void> {
  const { key, cert } = authority.issue('localhost');
  server = createHttpsServer({ key, cert, ...options }, (request, response) => {
    const path = request.url ?? '';
    seen.push(path);
    const act = does[path] ?? ((_, ok) => void ok.end('{}'));
    request.resume().once('end', () => act(request, response));
  });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  front = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    if (silent) silent.push(socket.resume());
    else server.emit('connection', socket);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  origin = `https://localhost:${(front.address() as AddressInfo).port}`;
}

beforeEach(() => {
  [seen, open, silent] = [[], new Set(), undefined];
  does = {
    '/die': ({ socket }) => void socket.destroy(),
    '/hang': () => undefined,
    '/close': (_, response) => void response.writeHead(200, { connection: 'close' }).end('{}'),
  };
});

afterEach(() => {
  transport.close();
  server.closeAllConnections();
  front.close();
});

function connectTo(maxConnections: number): void {
  transport = createTransport({ clock: systemClock, ca: authority.cert, maxConnections });
}

function post(path: string, within = seconds(30), mayLeave?: () => Promise<boolean>): ReturnType<Transport['send']> {
  return transport.send({ method: 'POST', url: origin + path, headers: {}, body: '{"x":1}', mayLeave }, within);
}

describe('C1: sent once more is only what was lost on a kept connection before an answer began', () => {
  beforeEach(() => start());

  it.each(['/close', '/hang'])('not what went over the connection that was made after %s', async (first) => {
    connectTo(1);
    const [before, lost] = [post(first, millis(500)), post('/die')];
    await before;
    expect(await lost).toMatchObject({ status: null, errno: 'ECONNRESET' });
    expect(seen).toEqual([first, '/die']);
  });

  it.each([
    ['a 100', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['a 101', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ])('nor what was answered by %s that nobody asked for, which is no outage either', async (_, answer) => {
    does['/odd'] = ({ socket }) => void socket.write(answer);
    connectTo(1);
    await post('/well');
    const result = await post('/odd');
    expect(classify(result, question)).toMatchObject({ class: 'ambiguous', status: null });
    expect(seen).toEqual(['/well', '/odd']);
  });

  it.each(['content-length: 50', 'transfer-encoding: chunked'])(
    'F1: a 200 (%s) that its connection cuts off is an outage',
    async (framing) => {
      const headers = Object.entries(vaultHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
      does['/cut'] = ({ socket }) => socket.end(`HTTP/1.1 200 OK\r\n${headers.join('')}connection: close\r\n${framing}\r\n\r\n5\r\n{"a`);
      connectTo(1);
      expect(classify(await post('/cut'), question)).toMatchObject({ class: 'outage', status: 200, code: 'ECONNRESET' });
    },
  );
});

describe('places at a host are never lost', () => {
  beforeEach(() => start());

  it('C5: not those of requests that gave up while the connection before them went down', async () => {
    connectTo(4);
    await Promise.all(Array.from({ length: 4 }, () => post('/well')));
    // All kept connections hang, and new ones get no handshake. Eight requests have one deadline.
    silent = [];
    const burst = await Promise.all(Array.from({ length: 8 }, () => post('/hang', millis(400))));
    expect(burst.map(({ errno }) => errno)).toEqual(Array.from({ length: 8 }, () => 'DEADLINE'));
    // Once the kept ones are gone, and whatever is made in their place: the last to come is this one.
    await vi.waitFor(() => expect(open.size).toBe(0), 5000);
    const last = connect((front.address() as AddressInfo).port, '127.0.0.1');
    await vi.waitFor(() => expect(silent!.some((socket) => socket.remotePort === last.localPort)).toBe(true), 5000);
    last.destroy();
    silent = undefined;
    expect(await post('/well')).toMatchObject({ status: 200, errno: null });
  });

  it('F1: one whose own connection is not made in time meets an outage, though the vault answers others', async () => {
    connectTo(2);
    await post('/well');
    const answers: ServerResponse[] = [];
    does['/slow'] = (_, response) => void answers.push(response);
    const kept = post('/slow');
    await vi.waitFor(() => expect(answers).toHaveLength(1), 5000);
    silent = [];
    const own = post('/well', millis(500));
    await vi.waitFor(() => expect(silent).toHaveLength(1), 5000);
    answers[0]!.end('{}');
    expect(await kept).toMatchObject({ status: 200 });
    expect(await own).toMatchObject({ status: null, errno: 'DEADLINE' });
  });

  it('F3: the answer to a question of before the connection was lost counts no more', async () => {
    connectTo(1);
    await post('/well');
    let socket: Socket | undefined;
    server.once('request', (request: IncomingMessage) => (socket = request.socket));
    await post('/well');
    const answers: ((may: boolean) => void)[] = [];
    const asked = post('/hang', seconds(2), () => new Promise((resolve) => void answers.push(resolve)));
    await vi.waitFor(() => expect(answers).toHaveLength(1), 5000);
    socket!.destroy();
    await vi.waitFor(() => expect(answers).toHaveLength(2), 5000);
    answers[1]!(true);
    await vi.waitFor(() => expect(seen).toContain('/hang'), 5000);
    answers[0]!(false);
    expect(await asked).toMatchObject({ status: null, errno: 'DEADLINE' });
  });
});

it('F1: a session that the host refuses is offered to it once', async () => {
  let refuses = false;
  const sessions = new Map<string, Buffer>();
  await start({ maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET });
  server.on('newSession', (id: Buffer, session: Buffer, done: () => void) => {
    sessions.set(id.toString('hex'), session);
    done();
  });
  server.on('resumeSession', (id: Buffer, done: (error: Error | null, session: Buffer | null) => void) => {
    const known = sessions.get(id.toString('hex'));
    done(refuses && known ? new Error('refused') : null, known ?? null);
  });
  connectTo(1);
  await post('/close');
  refuses = true;
  expect(await post('/close')).toMatchObject({ status: null });
  expect(await post('/close')).toMatchObject({ status: 200, errno: null });
});
