import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** `down`: connections are cut and new ones refused; `slow`: what a client sends arrives `ms` later. */
export type TableFault = { readonly fault: 'down' } | { readonly fault: 'slow'; readonly ms: number };

/** A TCP proxy between one broker instance and the tables, so that they can go away for that instance alone. */
export interface TableProxy {
  readonly port: number;
  /** How many requests have gone through, by method and table, e.g. `GET keybrokeraccess`; a transaction is a `POST $batch`. */
  requests(): Readonly<Record<string, number>>;
  setFault(fault: TableFault | undefined): Promise<void>;
  close(): Promise<void>;
}

/** A request's first line: clients send no request before the answer to the one before, so it begins a chunk. */
const requestLine = /^([A-Z]+) \/[^/ ]+\/([$\w]+)/;

export async function startTableProxy(targetPort: number): Promise<TableProxy> {
  const sockets = new Set<Socket>();
  const requests: Record<string, number> = {};
  let delayMs = 0;

  const count = (chunk: Buffer): void => {
    const [, method, table] = requestLine.exec(chunk.toString('latin1', 0, 100)) ?? [];
    if (method === undefined || table === undefined) return;
    const name = `${method} ${table}`;
    requests[name] = (requests[name] ?? 0) + 1;
  };
  const server = net.createServer((client) => {
    const upstream = net.connect(targetPort, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    upstream.pipe(client);
    client.on('data', (chunk: Buffer) => {
      count(chunk);
      if (delayMs > 0) setTimeout(() => upstream.write(chunk), delayMs).unref();
      else upstream.write(chunk);
    });
    client.on('end', () => upstream.end());
  });

  const cut = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const listen = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });

  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    requests: () => ({ ...requests }),
    async setFault(fault) {
      delayMs = fault?.fault === 'slow' ? fault.ms : 0;
      if (fault?.fault === 'down' && server.listening) await cut();
      if (fault?.fault !== 'down' && !server.listening) await listen(port);
    },
    close: async () => {
      if (server.listening) await cut();
    },
  };
}
