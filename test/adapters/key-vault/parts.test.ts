import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPipelineRequest, type PipelineRequest, type PipelineResponse } from '@azure/core-rest-pipeline';
import { CryptographyClient } from '@azure/keyvault-keys';
import type { KeyId } from '../../../src/domain/key.ts';
import { systemClock } from '../../../src/adapters/clock.ts';
import { Exchange, exchangeClient, Rehearsal, straightToExchange } from '../../../src/adapters/key-vault/exchange.ts';
import { createSecondResolver } from '../../../src/adapters/key-vault/resolver.ts';
import { createTransport, type Transport } from '../../../src/adapters/key-vault/transport.ts';
import { parseChallenge } from '../../../src/adapters/key-vault/challenge.ts';
import { readVaultError } from '../../../src/adapters/key-vault/vault-error.ts';
import { millis, seconds } from '../../../src/domain/time.ts';
import { startNameServer } from '../../local/names.ts';

describe('the transport', () => {
  it('K1: sends nothing but over https', async () => {
    const transport = createTransport({ clock: systemClock });
    const result = await transport.send({ method: 'GET', url: 'http://127.0.0.1:1/', headers: {}, body: undefined }, seconds(1));
    expect(result).toMatchObject({ status: null, errno: 'NOT_HTTPS' });
  });

  it('C1: the SDK cannot send behind the adapter’s back', async () => {
    const credential = { getToken: () => Promise.resolve({ token: 'x', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) };
    const client = new CryptographyClient('https://kv.vault.test/keys/kek/v1', credential, { httpClient: exchangeClient });
    await expect(client.wrapKey('RSA-OAEP-256', new Uint8Array(32))).rejects.toThrow('belongs to no call');
  });
});

describe('an exchange', () => {
  it('C1: sends once, and only to its key', async () => {
    const sent: string[] = [];
    const at = systemClock.now();
    const transport: Transport = {
      send({ url }) {
        sent.push(url);
        return Promise.resolve({ sentAt: at, receivedAt: at, status: 200, headers: {}, body: '{}', errno: null });
      },
      close: () => undefined,
    };
    const keyId = 'https://kv.vault.test/keys/kek/v1' as KeyId;
    const start = () => new Exchange({ transport, clock: systemClock, keyId, token: 't', deadline: Infinity, accept: () => ({}) });
    const exchange = start();
    const request = (url: string) => createPipelineRequest({ url, method: 'POST', body: '{}' });
    await expect(start().answer(request('https://elsewhere.vault.test/keys/kek/v1/wrapkey'))).rejects.toThrow();
    await exchange.answer(request(`${keyId}/wrapkey`));
    await expect(exchange.answer(request(`${keyId}/wrapkey`))).rejects.toThrow();
    expect(sent).toEqual([`${keyId}/wrapkey`]);
  });

  it('C1: a request of a call passes no policy of the SDK on its way, any other passes them all', async () => {
    const at = systemClock.now();
    const transport: Transport = {
      send: () => Promise.resolve({ sentAt: at, receivedAt: at, status: 200, headers: {}, body: '{"value":"x"}', errno: null }),
      close: () => undefined,
    };
    const keyId = 'https://kv.vault.test/keys/kek/v1' as KeyId;
    const exchange = new Exchange({ transport, clock: systemClock, keyId, token: 't', deadline: Infinity, accept: () => ({}) });
    const url = `${keyId}/wrapkey`;
    const passed: string[] = [];
    const next = (request: PipelineRequest): Promise<PipelineResponse> => {
      passed.push(request.url);
      return Promise.resolve({ request, status: 204, headers: request.headers });
    };
    const rehearsal = new Rehearsal({ header: 'Bearer', scope: 's', tenant: null }, '{}');
    const foreign = [rehearsal.signal, new AbortController().signal];
    for (const abortSignal of foreign) {
      const request = createPipelineRequest({ url: 'https://kv.vault.test/other', abortSignal });
      expect(await straightToExchange.sendRequest(request, next)).toMatchObject({ status: 204 });
    }
    const request = createPipelineRequest({ url, method: 'POST', body: '{}', abortSignal: exchange.signal });
    expect(await straightToExchange.sendRequest(request, next)).toMatchObject({ status: 200, bodyAsText: '{"value":"x"}' });
    expect(passed).toEqual(foreign.map(() => 'https://kv.vault.test/other'));
  });
});

describe('the second resolver', () => {
  let server: Awaited<ReturnType<typeof startNameServer>>;
  beforeEach(async () => {
    server = await startNameServer();
  });
  afterEach(() => server.close());

  it.each([
    ['nxdomain', 'gone'],
    ['servfail', 'unconfirmed'],
  ] as const)('T24, T25: %s means %s', async (answer, expected) => {
    server.set('kv-one.example.test', answer);
    const resolver = createSecondResolver({ servers: [server.address], timeoutMs: seconds(2) });
    expect(await resolver.confirm('kv-one.example.test', seconds(5))).toBe(expected);
  });

  it('T24: a name that resolves is not gone', async () => {
    server.set('kv-one.example.test', { address: '127.0.0.1' });
    const resolver = createSecondResolver({ servers: [server.address], timeoutMs: seconds(2) });
    expect(await resolver.confirm('kv-one.example.test', seconds(5))).toBe('unconfirmed');
  });

  it('T25: a resolver that is dead, none at all, or no time left confirm nothing', async () => {
    const { address } = server;
    await server.close();
    const dead = createSecondResolver({ servers: [address], timeoutMs: millis(50) });
    expect(await dead.confirm('kv-one.example.test', seconds(5))).toBe('unconfirmed');
    expect(await createSecondResolver({ servers: [], timeoutMs: seconds(2) }).confirm('kv-one.example.test', seconds(5))).toBe(
      'unconfirmed',
    );
    expect(await dead.confirm('kv-one.example.test', millis(0))).toBe('unconfirmed');
    server = await startNameServer();
  });
});

describe('what vaults say', () => {
  it.each([
    [
      'Bearer authorization="https://login.windows.net/t1", resource="https://vault.azure.net"',
      { scope: 'https://vault.azure.net/.default', tenant: 't1' },
    ],
    [
      'Bearer authorization="https://login.microsoftonline.com/t1/", scope="https://x/.default"',
      { scope: 'https://x/.default', tenant: 't1' },
    ],
    ['Bearer resource="https://vault.azure.net"', { scope: 'https://vault.azure.net/.default', tenant: null }],
    ['Bearer authorization="not a url", resource="https://vault.azure.net"', { tenant: null }],
  ])('K3: the challenge %s', (header, expected) => {
    expect(parseChallenge(header)).toMatchObject({ header, ...expected });
  });

  it.each([undefined, '', 'Basic realm="x"', 'Bearer realm="x"'])('K3: %s is no challenge', (header) => {
    expect(parseChallenge(header)).toBeUndefined();
  });

  it.each([null, '', '<html>', '[]', '{}', '{"error":7}', '{"error":{"code":{"a":1}}}', `{"error":{"code":"${'a'.repeat(200)}"}}`])(
    'C4: nothing is read from the error body %s',
    (body) => {
      expect(readVaultError(body)).toMatchObject({ code: null, inner: null, akv: null });
    },
  );
});
