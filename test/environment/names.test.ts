import { createSocket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startNameServer, type NameServer } from '../local/names.ts';

let names: NameServer;
let resolver: dns.Resolver;

beforeEach(async () => {
  names = await startNameServer();
  resolver = new dns.Resolver();
  resolver.setServers([names.address]);
});
afterEach(() => names.close());

describe('the name server', () => {
  test('gives the address of a name, whatever its case, with TTL 0', async () => {
    names.set('KV.vault.localhost', { address: '127.0.0.1' });
    expect(await resolver.resolve4('kv.VAULT.localhost', { ttl: true })).toEqual([{ address: '127.0.0.1', ttl: 0 }]);
  });

  test('knows no other addresses of a name', async () => {
    names.set('kv.vault.localhost', { address: '127.0.0.1' });
    await expect(resolver.resolve6('kv.vault.localhost')).rejects.toMatchObject({ code: 'ENODATA' });
  });

  test.each([
    ['nxdomain', 'ENOTFOUND'],
    ['servfail', 'ESERVFAIL'],
    ['nodata', 'ENODATA'],
  ] as const)('%s is seen as %s', async (answer, code) => {
    names.set('kv.vault.localhost', answer);
    await expect(resolver.resolve4('kv.vault.localhost')).rejects.toMatchObject({ code });
  });

  test('names that were removed, or never set, do not exist', async () => {
    names.set('kv.vault.localhost', { address: '127.0.0.1' });
    names.remove('KV.vault.localhost');
    await expect(resolver.resolve4('kv.vault.localhost')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(resolver.resolve4('other.localhost')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  test('outlives packets that are no queries', async () => {
    const [host = '', port = ''] = names.address.split(':');
    const socket = createSocket('udp4');
    const pointerLoop = Buffer.from('000100000001000000000000c00c00010001', 'hex');
    for (const packet of [Buffer.alloc(0), Buffer.alloc(11), pointerLoop, Buffer.alloc(600, 0x3f)]) {
      await new Promise((resolve) => socket.send(packet, Number(port), host, resolve));
    }
    socket.close();
    names.set('kv.vault.localhost', { address: '127.0.0.1' });
    expect(await resolver.resolve4('kv.vault.localhost')).toEqual(['127.0.0.1']);
  });
});
