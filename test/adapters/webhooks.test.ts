import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { createWebhooks } from '../../src/adapters/webhooks.ts';
import { systemClock } from '../../src/adapters/clock.ts';
import type { Webhook } from '../../src/domain/delivery.ts';
import { millis } from '../../src/domain/time.ts';
import type { WebhookAnswer } from '../../src/ports/webhooks.ts';
import { anEvent } from '../support/stored-values.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const newKey = Buffer.alloc(32, 8).toString('base64');
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(receive: RequestListener): Promise<string> {
  const server = createServer(receive);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?sig=hidden`;
}

function webhooksTo(url: string, changes: Partial<Webhook> = {}) {
  const webhooks = createWebhooks({
    targets: [{ name: 'ops', url, secrets: [key], ...changes }],
    origin: 'broker.example',
    source: 'urn:keybroker:test',
    clock: systemClock,
    timeoutMs: millis(300),
  });
  const [target] = webhooks.targets;
  return { webhooks, target: target!, send: () => webhooks.send(target!, anEvent('3f0e-1')), ask: () => webhooks.ask(target!) };
}

/** Sends one event to a receiver that does as told. */
async function sendTo(receive: RequestListener): Promise<WebhookAnswer<null>> {
  return webhooksTo(await listen(receive)).send();
}

describe('P2: an event as it goes over the wire', () => {
  test('a CloudEvent in structured mode, with a signature that the stock library of Standard Webhooks accepts; two while secrets change', async () => {
    const got: { headers: IncomingHttpHeaders; body: string; method: string | undefined }[] = [];
    const url = await listen((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        got.push({ headers: request.headers, body, method: request.method });
        response.writeHead(204).end();
      });
    });
    expect(await webhooksTo(url, { secrets: [key, newKey] }).send()).toEqual({ kind: 'taken', value: null });
    const [{ headers, body, method }] = got as [(typeof got)[number]];
    expect(method).toBe('POST');
    expect(headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'webhook-request-origin': 'broker.example',
      'webhook-id': '3f0e-1',
    });
    for (const secret of [key, newKey]) {
      expect(new StandardWebhook(`whsec_${secret}`).verify(body, headers as Record<string, string>)).toEqual({
        specversion: '1.0',
        id: '3f0e-1',
        source: 'urn:keybroker:test',
        type: 'keybroker.server.state',
        subject: 'sql-demo',
        time: '2026-11-22T06:00:00.000Z',
        datacontenttype: 'application/json',
        data: { state: 'online' },
      });
    }
    expect(() => new StandardWebhook(`whsec_${key}`).verify(`${body} `, headers as Record<string, string>)).toThrow();
  });

  test('the address changes with the URL; what is shown of it is the host alone', async () => {
    const one = webhooksTo('https://hooks.example/a?sig=hidden').target;
    const other = webhooksTo('https://hooks.example/b?sig=hidden').target;
    expect(one.address).not.toBe(other.address);
    expect(one.host).toBe('hooks.example');
    expect(JSON.stringify(one)).not.toContain('hidden');
    return Promise.resolve();
  });
});

describe('P2: what an answer means', () => {
  test.each<[number, WebhookAnswer<null>]>([
    [200, { kind: 'taken', value: null }],
    [202, { kind: 'taken', value: null }],
    [410, { kind: 'gone' }],
    [400, { kind: 'refused', reason: 'answered 400' }],
    [500, { kind: 'refused', reason: 'answered 500' }],
    [401, { kind: 'away', reason: 'answered 401', retryAfterMs: null }],
    [503, { kind: 'away', reason: 'answered 503', retryAfterMs: null }],
  ])('%i', async (status, meaning) => {
    expect(await sendTo((_request, response) => response.writeHead(status).end('a word of the receiver'))).toEqual(meaning);
  });

  test('429 with Retry-After in seconds', async () => {
    const answer = await sendTo((_request, response) => response.writeHead(429, { 'retry-after': '120' }).end());
    expect(answer).toEqual({ kind: 'away', reason: 'answered 429', retryAfterMs: 120_000 });
  });

  test('a redirect is not followed', async () => {
    let met = 0;
    const elsewhere = await listen((_request, response) => {
      met += 1;
      response.end();
    });
    const answer = await sendTo((_request, response) => response.writeHead(307, { location: elsewhere }).end());
    expect(answer).toMatchObject({ kind: 'away', reason: 'answered 307: redirects are not followed' });
    expect(met).toBe(0);
  });

  test('a body without end is not read: the status is the answer', async () => {
    let written = 0;
    const answer = await sendTo((_request, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024))) written += 1;
      };
      response.on('drain', more);
      more();
    });
    expect(answer).toEqual({ kind: 'taken', value: null });
    expect(written).toBeLessThan(1000);
  });

  test('a receiver that hangs, and one that is not there', async () => {
    expect(await sendTo(() => undefined)).toEqual({ kind: 'away', reason: 'did not answer in time', retryAfterMs: null });
    const url = await listen(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(await webhooksTo(url).send()).toEqual({ kind: 'away', reason: 'cannot be reached: ECONNREFUSED', retryAfterMs: null });
  });

  test('a certificate that nobody vouches for, or no TLS at all: nothing is sent', async () => {
    const url = (await listen(() => undefined)).replace('http:', 'https:');
    expect(await webhooksTo(url).send()).toMatchObject({ kind: 'away' });
  });
});

describe('the handshake of CloudEvents', () => {
  test.each<[string, Record<string, string>, number, unknown]>([
    [
      'allows us',
      { 'webhook-allowed-origin': 'Broker.example', 'webhook-allowed-rate': '120' },
      200,
      { kind: 'taken', value: { ratePerMinute: 120 } },
    ],
    [
      'allows everyone',
      { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '*' },
      204,
      { kind: 'taken', value: { ratePerMinute: null } },
    ],
    ['allows others', { 'webhook-allowed-origin': 'other.example' }, 200, { kind: 'away' }],
    ['does not know of it', {}, 405, { kind: 'away' }],
    ['is gone', {}, 410, { kind: 'gone' }],
  ])('%s', async (_name, headers, status, meaning) => {
    const asked: unknown[] = [];
    const url = await listen((request, response) => {
      asked.push([request.method, request.headers['webhook-request-origin']]);
      response.writeHead(status, headers).end();
    });
    expect(await webhooksTo(url).ask()).toMatchObject(meaning as object);
    expect(asked).toEqual([['OPTIONS', 'broker.example']]);
  });
});
