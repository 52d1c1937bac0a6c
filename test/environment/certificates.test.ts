import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type ConnectionOptions } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { createAuthority, type Certified } from '../local/certificates.ts';

const authority = createAuthority('Test authority');

/** Connects once to a server with this certificate; rejects with the client's error. */
async function handshake({ key, cert }: Certified, options: ConnectionOptions): Promise<boolean> {
  const server = createServer({ key, cert }, (socket) => socket.end());
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ...options }, () => {
        resolve(socket.authorized);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  } finally {
    server.close();
  }
}

describe('certificates', () => {
  const leaf = authority.issue('kv.vault.localhost', 'pool.managedhsm.localhost');

  test('a client that trusts the authority accepts each name of the certificate', async () => {
    for (const servername of ['kv.vault.localhost', 'pool.managedhsm.localhost']) {
      expect(await handshake(leaf, { ca: authority.cert, servername })).toBe(true);
    }
  });

  test.each([
    ['another name', () => ({ ca: authority.cert, servername: 'other.vault.localhost' }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['no trust', () => ({ servername: 'kv.vault.localhost' }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    [
      'trust in an authority of the same name',
      () => ({ ca: createAuthority('Test authority').cert, servername: 'kv.vault.localhost' }),
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
  ])('%s: the client refuses', async (_, options, code) => {
    await expect(handshake(leaf, options())).rejects.toMatchObject({ code });
  });

  test('are what they say: issuer, names, purpose, and valid now but not for ever', () => {
    const root = new X509Certificate(authority.cert);
    const cert = new X509Certificate(leaf.cert);
    expect(root.ca).toBe(true);
    expect(cert.ca).toBe(false);
    expect(cert.checkIssued(root) && cert.verify(root.publicKey)).toBe(true);
    expect(cert.subjectAltName).toBe('DNS:kv.vault.localhost, DNS:pool.managedhsm.localhost');
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(cert.validFromDate.getTime()).toBeLessThan(Date.now());
    expect(cert.validToDate.getTime() - Date.now()).toBeLessThanOrEqual(365 * 86_400_000);
  });

  test('no two have the same serial number', () => {
    const serials = Array.from({ length: 20 }, () => new X509Certificate(authority.issue('a.localhost').cert).serialNumber);
    expect(new Set(serials).size).toBe(20);
  });
});
