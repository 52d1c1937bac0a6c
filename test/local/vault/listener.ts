import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Certified } from '../certificates.ts';
import type { VaultRequest } from './handler.ts';
import type { Reaction } from './reactions.ts';

/** How a listener treats connections. */
export interface ListenerState {
  /** `refuse`: nothing listens on the port; `cut`: connections are reset as soon as they are made. */
  readonly connections: 'accept' | 'cut' | 'refuse';
  readonly certified: Certified;
}

/** The HTTPS side of one vault, on a loopback port of its own. */
export interface Listener {
  readonly port: number;
  /** Changes state and cuts every connection that exists, so that none outlives the state in which it was made. */
  become(state: ListenerState): Promise<void>;
  close(): Promise<void>;
}

/** A backup of 500 versions of a key with 4096 bits fits; the service names no limit of its own. */
const bodyLimit = 4 * 1024 * 1024;
const host = '127.0.0.1';

/**
 * Listens on `port`, or on a free one if it is 0.
 * @throws if the port is taken.
 */
export async function listen(port: number, certified: Certified, react: (request: VaultRequest) => Promise<Reaction>): Promise<Listener> {
  const sockets = new Map<number, Socket>();
  let state: ListenerState = { connections: 'accept', certified };
  // Connections are kept for longer than any client keeps them: else each pause in the traffic ends in a race between a request and our FIN.
  const server = createServer({ key: certified.key, cert: certified.cert, keepAliveTimeout: 240_000 }, (request, response) => {
    serve(request, response, react, () => sockets.get(request.socket.remotePort ?? 0)?.resetAndDestroy());
  });
  server.on('connection', (socket: Socket) => {
    const { remotePort } = socket;
    if (state.connections !== 'accept' || remotePort === undefined) {
      socket.resetAndDestroy();
      return;
    }
    socket.setNoDelay(true);
    sockets.set(remotePort, socket);
    socket.once('close', () => sockets.delete(remotePort));
  });
  const cutAll = () => {
    for (const socket of sockets.values()) socket.resetAndDestroy();
  };
  await open(server, port);
  const bound = (server.address() as AddressInfo).port;

  return {
    port: bound,
    async become(next) {
      const was = state;
      state = next;
      if (next.certified !== was.certified) server.setSecureContext({ key: next.certified.key, cert: next.certified.cert });
      const stopped = next.connections === 'refuse' && server.listening ? stop(server) : undefined;
      cutAll();
      await stopped;
      if (next.connections !== 'refuse' && !server.listening) await reopen(server, bound);
    },
    async close() {
      const stopped = server.listening ? stop(server) : undefined;
      cutAll();
      await stopped;
    },
  };
}

function serve(
  request: IncomingMessage,
  response: ServerResponse,
  react: (request: VaultRequest) => Promise<Reaction>,
  reset: () => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= bodyLimit) chunks.push(chunk);
  });
  // A client that goes away while it sends has made no request; the response's own events tell nobody anything then.
  request.on('error', () => response.destroy());
  request.on('end', () => {
    const { method = '', url = '', headers } = request;
    const clientRequestId = headers['x-ms-client-request-id'];
    void react({
      method,
      target: url,
      authorization: headers.authorization,
      clientRequestId: typeof clientRequestId === 'string' ? clientRequestId : undefined,
      body: size > bodyLimit ? undefined : Buffer.concat(chunks),
    }).then((reaction) => {
      if (reaction.act === 'reset') reset();
      if ('answer' in reaction) send(response, reaction);
    });
  });
}

function send(response: ServerResponse, { act, answer }: Extract<Reaction, { answer: unknown }>): void {
  response.sendDate = false;
  response.writeHead(answer.status, [...answer.headers]);
  if (act === 'headersOnly') response.flushHeaders();
  else response.end(answer.body);
}

function open(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve, reject) => server.close((error) => (error === undefined ? resolve() : reject(error))));
}

/** A connection from elsewhere may hold the port for a moment, since the system gives it out while nothing listens there. */
async function reopen(server: Server, port: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await open(server, port);
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(20);
    }
  }
}
