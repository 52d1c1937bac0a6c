import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll } from 'vitest';
import { openStore } from '../../src/adapters/tables/store.ts';
import type { Store } from '../../src/adapters/tables/table.ts';
import { millis, type Millis } from '../../src/domain/time.ts';
import { startStorage, type Storage } from '../local/storage.ts';

/** How a way to the tables behaves: `pass`; `refuse` closes every connection; `hang` takes requests and never answers; `resetAnswer` passes one request on and resets the connection instead of answering it. */
export type Way = 'pass' | 'refuse' | 'hang' | 'resetAnswer';

/** A way to Azurite's tables with faults on the far side of the wire. */
export interface TablesWay {
  way: Way;
  readonly connectionString: string;
}

export interface Azurite {
  /** A store on tables of its own; `same` gives another instance on the same tables. */
  store(prefix?: string, timeoutMs?: Millis): Store;
  prefix(): string;
  /** A way through a proxy, for this test file. */
  openWay(): Promise<TablesWay>;
}

/** Azurite for a test file: started before its tests, stopped after them. */
export function useAzurite(): Azurite {
  let storage: Storage | undefined;
  let prefixes = 0;
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    storage = await startStorage({ blob: 0, queue: 0, table: 0 });
  }, 60_000);
  afterAll(async () => {
    for (const close of closers) await close();
    await storage?.stop();
  });

  function running(): Storage {
    if (storage === undefined) throw new Error('Azurite is started by beforeAll');
    return storage;
  }

  const azurite: Azurite = {
    prefix: () => `t${(prefixes += 1)}x`,
    store: (prefix = azurite.prefix(), timeoutMs = millis(10_000)) =>
      openStore({ connectionString: running().connectionString() }, { tablePrefix: prefix, timeoutMs }),
    async openWay() {
      const state: { way: Way } = { way: 'pass' };
      const { port, close } = await startProxy(state, running().ports.table);
      closers.push(close);
      return Object.assign(state, { connectionString: running().connectionString(port) });
    },
  };
  return azurite;
}

async function startProxy(state: { way: Way }, target: number): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => client.destroy());
    if (state.way === 'refuse') return client.destroy();
    const upstream = connect(target, '127.0.0.1');
    sockets.add(upstream);
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
    client.on('data', (chunk) => {
      if (state.way === 'refuse') client.destroy();
      else if (state.way !== 'hang') upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (state.way === 'resetAnswer') {
        state.way = 'pass';
        client.resetAndDestroy();
      } else {
        client.write(chunk);
      }
    });
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
