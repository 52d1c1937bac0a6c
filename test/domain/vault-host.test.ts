import { describe, expect, test } from 'vitest';
import { allowedOrigin, type HostSuffix } from '../../src/domain/vault-host.ts';

const allowed: readonly HostSuffix[] = [
  { suffix: '.vault.azure.net', port: 443 },
  { suffix: '.vault.localhost', port: 'any' },
  { suffix: '.hsm.example', port: 8443 },
];

describe('K1: a vault URI is https, ends in an allowed suffix, and has one form', () => {
  test.each([
    ['https://kv-west.vault.azure.net', 'https://kv-west.vault.azure.net'],
    ['https://kv-west.vault.azure.net/', 'https://kv-west.vault.azure.net'],
    ['https://KV-West.VAULT.azure.NET:443/', 'https://kv-west.vault.azure.net'],
    ['https://kv-a.vault.localhost:8443', 'https://kv-a.vault.localhost:8443'],
    ['https://kv-a.vault.localhost', 'https://kv-a.vault.localhost'],
    ['https://pool.hsm.example:8443', 'https://pool.hsm.example:8443'],
  ])('%s', (given, normal) => {
    expect(allowedOrigin(given, allowed)).toBe(normal);
    expect(allowedOrigin(normal, allowed)).toBe(normal);
    expect(new URL(normal).origin).toBe(normal);
  });

  test.each([
    '',
    'kv.vault.azure.net',
    'http://kv.vault.azure.net',
    'https:kv.vault.azure.net',
    'https:///kv.vault.azure.net',
    'https:\\\\kv.vault.azure.net',
    'https://kv.vault.azure.net\\@evil.example',
    'https://kv.vault.azure.net//',
    'https://kv.vault.azure.net/keys',
    'https://kv.vault.azure.net?x',
    'https://kv.vault.azure.net#x',
    'https://evil.example#.vault.azure.net',
    'https://evil.example/.vault.azure.net',
    'https://evil.example?.vault.azure.net',
    'https://evil.example\\.vault.azure.net',
    'https://user@kv.vault.azure.net',
    'https://kv.vault.azure.net@evil.example',
    'https://kv.vault.azure.net:8443',
    'https://kv.vault.azure.net:0443',
    'https://kv.vault.azure.net:',
    'https://kv.vault.azure.net:443:443',
    'https://kv.vault.localhost:65536',
    'https://pool.hsm.example',
    'https://kv.vault.azure.net.',
    'https://kv..vault.azure.net',
    'https://.vault.azure.net',
    'https://vault.azure.net',
    'https://a.kv.vault.azure.net',
    'https://kv.vault.azure.net.evil.example',
    'https://kvvault.azure.net',
    'https://kv-.vault.azure.net',
    'https://-kv.vault.azure.net',
    'https://kv_1.vault.azure.net',
    'https://xn--kv-hia.vault.azure.net',
    'https://kv%2evault.azure.net',
    'https://kv。vault.azure.net',
    'https://kv.vault.azure.ne\u0074\u0301',
    'https://\u212Av.vault.azure.net', // the Kelvin sign
    'https://kv.vault.azure.net\u0000',
    'https://kv.vault.azure.net\n',
    ' https://kv.vault.azure.net',
    'https://127.0.0.1',
    'https://[::1]',
    'https://2130706433',
    `https://${'k'.repeat(64)}.vault.azure.net`,
  ])('refused: %j', (given) => {
    expect(allowedOrigin(given, allowed)).toBeUndefined();
  });
});
