import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOperationLog } from '../../../src/adapters/tables/operation-log.ts';
import { openStore } from '../../../src/adapters/tables/store.ts';
import type { Store, Write } from '../../../src/adapters/tables/table.ts';
import { StoreAway } from '../../../src/ports/store.ts';
import { collectingLog } from '../../support/store-rigs.ts';
import { aRecord, morning } from '../../support/stored-values.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

const row = { partition: 'p', row: 'r', columns: {} };
const insert: Write = { kind: 'insert', row };
const put: Write = { kind: 'put', row };
const replace: Write = { kind: 'replace', row, etag: 'W/"1"' };

/** A service that answers every call with this status and code. */
describe('conditions of the service: only the codes that speak of the row', () => {
  let server: Server;
  let store: Store;
  let answer: { readonly status: number; readonly code: string };
  let calls: number;
  beforeEach(async () => {
    calls = 0;
    server = createServer((request, response) => {
      calls += 1;
      request.resume();
      response.writeHead(answer.status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ 'odata.error': { code: answer.code, message: { lang: 'en', value: '' } } }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/someone`;
    store = openStore({
      connectionString: `DefaultEndpointsProtocol=http;AccountName=someone;AccountKey=c2VjcmV0;TableEndpoint=${endpoint};`,
    });
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it.each([
    [409, 'EntityAlreadyExists', insert],
    [404, 'ResourceNotFound', replace],
    [412, 'UpdateConditionNotSatisfied', replace],
  ])('%i %s: the condition did not hold', async (status, code, write) => {
    answer = { status, code };
    expect(await store.table('operations').write([write])).toBe(false);
  });

  it.each([
    ['an insert', 409, 'AccountBeingCreated', insert],
    ['an insert', 409, 'OperationTimedOut', insert],
    ['an insert', 404, 'ResourceNotFound', insert],
    ['an insert', 404, 'AccountNotFound', insert],
    ['a write in any case', 409, 'TableBeingDeleted', put],
  ])('%s met by %i %s is a fault of the store', async (_name, status, code, write) => {
    answer = { status, code };
    await expect(store.table('operations').write([write])).rejects.toBeInstanceOf(StoreAway);
  });

  it('a row is absent where the service says so of the row, and of nothing else', async () => {
    answer = { status: 404, code: 'ResourceNotFound' };
    expect(await store.table('operations').get(row)).toBeUndefined();
    await expect(store.table('operations').list({ partition: 'p' })).rejects.toBeInstanceOf(StoreAway);
    answer = { status: 404, code: 'AccountNotFound' };
    await expect(store.table('operations').get(row)).rejects.toBeInstanceOf(StoreAway);
  });

  it.each([
    [409, 'AccountBeingCreated'],
    [404, 'ResourceNotFound'],
  ])('P3: records are not taken for stored by %i %s: they wait, and go to the log at the end', async (status, code) => {
    answer = { status, code };
    const lines = collectingLog();
    const log = createOperationLog(store, { clock: virtualClock(morning), instance: 'i1', log: lines.log });
    log.append(aRecord());
    await log.flush();
    expect(calls).toBeGreaterThan(0);
    expect(log.backlog()).toEqual({ issued: 1, waiting: 1, spilled: 0 });
    await log.close();
    expect(lines.spilled.map(({ number }) => number)).toEqual([1]);
  });

  it('P3: a row that is there already is the one that was stored before its answer was lost', async () => {
    answer = { status: 409, code: 'EntityAlreadyExists' };
    const lines = collectingLog();
    const log = createOperationLog(store, { clock: virtualClock(morning), instance: 'i1', log: lines.log });
    log.append(aRecord());
    await log.close();
    expect(log.backlog()).toEqual({ issued: 1, waiting: 0, spilled: 0 });
    expect(lines.spilled).toEqual([]);
  });
});
