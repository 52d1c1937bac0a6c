import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/adapters/clock.ts';
import { createTransport, type Transport } from '../../../src/adapters/key-vault/transport.ts';
import { millis, seconds } from '../../../src/domain/time.ts';
import { chances } from '../../support/admission-fleet.ts';
import { authority } from '../../support/scripted-vault.ts';

/** What a vault, or what stands before it, does with a request. */
const deeds: Readonly<Record<string, (response: ServerResponse, socket: Socket) => unknown>> = {
  answers: (response) => response.end('{}'),
  'answers and closes': (response) => response.writeHead(200, { connection: 'close' }).end('{}'),
  'answers and resets': (response, socket) => response.end('{}', () => socket.destroy()),
  'answers too much': (response) => response.end('a'.repeat(70_000)),
  'answers too much and closes': (response) => response.writeHead(200, { connection: 'close' }).end('a'.repeat(70_000)),
  'answers in secret': (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
  'talks on': (response, socket) => response.end('{}', () => socket.write('HTTP/1.1 408 Late\r\ncontent-length: 0\r\n\r\n')),
  hints: (response, socket) => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n', () => response.end('{}')),
  stalls: (response) => response.writeHead(200).write('{'),
  cuts: (response, socket) => response.writeHead(200, { 'content-length': '50' }).write('{', () => socket.destroy()),
  resets: (_, socket) => socket.destroy(),
  ends: (_, socket) => socket.end(),
  hangs: () => undefined,
};

/** A request as the vault saw it: whether it was the first of its connection. */
interface Seen {
  readonly onFresh: boolean;
}

const places = 6;
let chance: () => number;
let hostile: boolean;
let server: Server;
let front: TcpServer;
let transport: Transport;
let origin: string;
let seen: Map<string, Seen[]>;
let open: Set<Socket>;
let mostOpen: number;
let wrongBodies: number;

beforeEach(async () => {
  [hostile, mostOpen, wrongBodies] = [true, 0, 0];
  seen = new Map();
  open = new Set();
  const { key, cert } = authority.issue('localhost');
  const used = new WeakSet<Socket>();
  server = createServer({ key, cert, keepAliveTimeout: 30 }, (request: IncomingMessage, response) => {
    const { socket, url = '', headers } = request;
    const id = String(headers['x-id']);
    seen.set(id, [...(seen.get(id) ?? []), { onFresh: !used.has(socket) }]);
    used.add(socket);
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      if (body !== headers['x-body']) wrongBodies += 1;
      deeds[decodeURIComponent(url.slice(1))]?.(response, socket);
    });
  });
  server.on('tlsClientError', (_, socket) => socket.destroy());
  server.on('secureConnection', (socket: Socket) => {
    open.add(socket.on('error', () => undefined).once('close', () => open.delete(socket)));
    mostOpen = Math.max(mostOpen, open.size);
    if (hostile && chance() < 0.1) setTimeout(() => socket.destroy(), chance() * 60).unref();
  });
  front = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    const luck = hostile ? chance() : 1;
    if (luck < 0.05) socket.destroy();
    else if (luck < 0.1) socket.end('nonsense');
    else if (luck < 0.13) socket.resume();
    else server.emit('connection', socket);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  origin = `https://localhost:${(front.address() as AddressInfo).port}`;
  transport = createTransport({ clock: systemClock, ca: authority.cert, maxConnections: places });
});

afterEach(() => {
  transport.close();
  server.closeAllConnections();
  front.close();
});

/** Answers to whether a request may leave; undefined: it is not asked. */
const permissions: readonly (undefined | (() => Promise<boolean>))[] = [
  undefined,
  undefined,
  () => pause(chance() * 20, true),
  () => Promise.resolve(false),
  () => Promise.reject(new Error('away')),
  () => new Promise<boolean>(() => undefined),
];
const heldBack = new Set(permissions.slice(3));

function oneOf<T>(values: readonly T[]): T {
  return values[Math.floor(chance() * values.length)]!;
}

it.each([1, 2])(
  'C1, C5, F3: whatever a vault does, each request ends, is sent again only where it may be, and gives its place back (%i)',
  async (seed) => {
    chance = chances(seed);
    const forbidden = new Set<string>();
    let asked = 0;
    async function ask(): Promise<void> {
      const id = String((asked += 1));
      const body = chance() < 0.3 ? undefined : JSON.stringify({ id });
      const mayLeave = oneOf(permissions);
      if (heldBack.has(mayLeave)) forbidden.add(id);
      const headers = { 'x-id': id, 'x-body': body ?? '' };
      const url = `${origin}/${encodeURIComponent(oneOf(Object.keys(deeds)))}`;
      await transport.send({ method: body === undefined ? 'GET' : 'POST', url, headers, body, mayLeave }, millis(5 + chance() * 60));
    }
    // Twenty who ask without end, over six places.
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        while (asked < 1500) await ask();
      }),
    );
    hostile = false;
    expect([...forbidden].filter((id) => seen.has(id))).toEqual([]);
    // Sent again is only what went over a kept connection at first, and then once.
    const again = [...seen.values()].filter((times) => times.length > 1);
    expect(again.filter(([first, ...more]) => first!.onFresh || more.length > 1)).toEqual([]);
    expect(wrongBodies).toBe(0);
    // The vault may hear of a new connection before it hears of the end of the one before.
    expect(mostOpen).toBeLessThan(2 * places);

    const well = Array.from({ length: 3 * places }, (_, k) => {
      const request = { method: 'GET', url: `${origin}/answers`, headers: { 'x-id': `well-${k}`, 'x-body': '' }, body: undefined };
      return transport.send(request, seconds(20));
    });
    expect((await Promise.all(well)).map(({ status }) => status)).toEqual(well.map(() => 200));
  },
);
