import { once } from 'node:events';
import net from 'node:net';
import { TableClient } from '@azure/data-tables';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { startStorage } from '../local/storage.ts';
import type { Storage } from '../local/storage.ts';
import { startTableProxy } from '../local/table-proxy.ts';
import type { TableProxy } from '../local/table-proxy.ts';

let storage: Storage;
let first: TableProxy;
let second: TableProxy;
beforeAll(async () => {
  storage = await startStorage({ blob: 0, queue: 0, table: 0 });
  first = await startTableProxy(storage.ports.table);
  second = await startTableProxy(storage.ports.table);
  await client(first).createTable();
});
afterEach(() => first.setFault(undefined));
afterAll(async () => {
  await first.close();
  await second.close();
  await storage.stop();
});

function client(proxy: TableProxy, table = 'rows'): TableClient {
  return TableClient.fromConnectionString(storage.connectionString(proxy.port), table, {
    allowInsecureConnection: true,
    retryOptions: { maxRetries: 0 },
  });
}

const row = (rowKey: string) => ({ partitionKey: 'p', rowKey });

it('serves the stock client through a proxy', async () => {
  await client(first).upsertEntity({ ...row('through'), value: 1 });
  expect(await client(second).getEntity('p', 'through')).toMatchObject({ value: 1 });
});

it('does not look at the age of a signature', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 365 * 86_400_000 });
  try {
    await client(first).upsertEntity(row('old'));
  } finally {
    vi.useRealTimers();
  }
});

it('refuses connections while the tables are down for one instance, and serves the other', async () => {
  await client(first).upsertEntity(row('before'));
  await first.setFault({ fault: 'down' });
  await expect(client(first).getEntity('p', 'before')).rejects.toThrow();
  await expect(once(net.connect(first.port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(await client(second).getEntity('p', 'before')).toMatchObject(row('before'));
  await first.setFault(undefined);
  expect(await client(first).getEntity('p', 'before')).toMatchObject(row('before'));
});

it('cuts the requests under way when the tables go down', async () => {
  await first.setFault({ fault: 'slow', ms: 600_000 });
  const waiting = expect(client(first).getEntity('p', 'before')).rejects.toThrow();
  await first.setFault({ fault: 'down' });
  await waiting;
});

it('keeps a slow request waiting', async () => {
  await first.setFault({ fault: 'slow', ms: 600_000 });
  await expect(client(first).getEntity('p', 'before', { abortSignal: AbortSignal.timeout(50) })).rejects.toMatchObject({
    name: 'AbortError',
  });
});
