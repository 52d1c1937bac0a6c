import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/adapters/clock.ts';
import { createSecondResolver } from '../../../src/adapters/key-vault/resolver.ts';
import { createTransport } from '../../../src/adapters/key-vault/transport.ts';
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
