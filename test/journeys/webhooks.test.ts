import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TableClient } from '@azure/data-tables';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { rowSchema } from '../../src/adapters/tables/rows.ts';
import { startEnvironment, type Environment } from '../local/environment.ts';
import { request } from '../support/environment.ts';

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const heard: { readonly type: string; readonly id: string }[] = [];
const asked: string[] = [];
let receiver: Server;
let environment: Environment;

beforeAll(async () => {
  receiver = createServer((incoming, response) => {
    if (incoming.method === 'OPTIONS') {
      asked.push(String(incoming.headers['webhook-request-origin']));
      response.writeHead(200, { 'webhook-allowed-origin': '*' }).end();
      return;
    }
    let body = '';
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
    incoming.on('end', () => {
      heard.push(new StandardWebhook(secret).verify(body, incoming.headers as Record<string, string>) as (typeof heard)[number]);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${String((receiver.address() as AddressInfo).port)}/`;
  environment = await startEnvironment({
    settings: {
      KEYBROKER_WEBHOOKS: JSON.stringify([
        { name: 'ops', url, secret },
        { name: 'away', url: 'http://127.0.0.1:9/', secret },
      ]),
    },
  });
}, 60_000);

afterAll(async () => {
  await environment.stop();
  receiver.closeAllConnections();
  receiver.close();
}, 30_000);

interface Status {
  readonly undeliveredEvents: { readonly webhooks: readonly { readonly name: string; readonly state: string; readonly count: number }[] };
}

/** @returns undefined where there is no status document. */
async function webhooksShown(): Promise<Status['undeliveredEvents']['webhooks'] | undefined> {
  const { token } = (await request<{ token: string }>(environment.control, 'POST /tokens', { body: { roles: ['KeyBroker.Auditor'] } }))
    .body;
  const [broker] = environment.brokers.list();
  const answer = await request<Status>(broker!.url, 'GET /v1/status', { token });
  return answer.status === 200 ? answer.body.undeliveredEvents.webhooks : undefined;
}

test('P2: what happened is heard without waiting for a timer, signed, and the status says that nothing waits', async () => {
  await vi.waitUntil(() => heard.some(({ type }) => type === 'keybroker.protector.changed'), { timeout: 20_000 });
  expect(asked).toEqual(['keybroker']);
  const webhooks = await vi.waitUntil(
    async () => {
      const seen = await webhooksShown();
      return seen?.[0]?.count === 0 && seen[1]?.state === 'failing' && seen;
    },
    { timeout: 20_000 },
  );
  expect(webhooks).toMatchObject([
    { name: 'ops', state: 'working' },
    { name: 'away', state: 'failing', reason: 'cannot be reached' },
  ]);
  expect(new Set(heard.map(({ id }) => id)).size).toBe(heard.length);
});

test('P2: what is stored of a webhook by a newer broker costs its own line of the status, and no other', async () => {
  const options = { allowInsecureConnection: true };
  const table = TableClient.fromConnectionString(environment.storage.connectionString(), 'keybrokerdeliveries', options);
  await table.upsertEntity({ partitionKey: 'away', rowKey: 'state', schema: 9, json: '{}' }, 'Replace');
  const webhooks = await webhooksShown();
  expect(webhooks).toMatchObject([
    { name: 'ops', state: 'working' },
    { name: 'away', state: 'unknown', reason: `row \`state\` has schema 9, this broker knows up to ${rowSchema}: update it` },
  ]);
});
