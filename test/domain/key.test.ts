import { describe, expect, test } from 'vitest';
import { parseKeyId, parseThumbprint, unwrapAlgorithms, wrapAlgorithms } from '../../src/domain/key.ts';

const version = '0123456789abcdef0123456789abcdef';
const good = `https://kv-west.vault.azure.net/keys/tde/${version}`;

describe('a key id is a full versioned key URI, normalised', () => {
  test.each([
    [good, { keyId: good, vaultUri: 'https://kv-west.vault.azure.net', name: 'tde', version }],
    [
      `https://KV-West.Vault.Azure.NET/keys/tde/${version}`,
      { keyId: good, vaultUri: 'https://kv-west.vault.azure.net', name: 'tde', version },
    ],
    [
      `https://kv-a.vault.localhost:8443/keys/Tde-1/${version.toUpperCase()}`,
      {
        keyId: `https://kv-a.vault.localhost:8443/keys/tde-1/${version}`,
        vaultUri: 'https://kv-a.vault.localhost:8443',
        name: 'tde-1',
        version,
      },
    ],
    [
      `https://pool.managedhsm.azure.net/keys/${'n'.repeat(127)}/${'v'.repeat(64)}`,
      {
        keyId: `https://pool.managedhsm.azure.net/keys/${'n'.repeat(127)}/${'v'.repeat(64)}`,
        vaultUri: 'https://pool.managedhsm.azure.net',
        name: 'n'.repeat(127),
        version: 'v'.repeat(64),
      },
    ],
  ])('%s', (text, parts) => {
    expect(parseKeyId(text)).toEqual(parts);
    expect(parseKeyId(parseKeyId(text)!.keyId)).toEqual(parts);
  });

  test.each([
    ['nothing', ''],
    ['no URI', 'tde'],
    ['another scheme', good.replace('https:', 'http:')],
    ['another scheme that looks alike', good.replace('https:', 'httpss:')],
    ['the scheme in capitals', good.replace('https:', 'HTTPS:')],
    ['no slashes', good.replace('https://', 'https:')],
    ['one slash too many', good.replace('https://', 'https:///')],
    ['backslashes', good.replaceAll('/', '\\')],
    ['one backslash', good.replace('/keys/', '\\keys/')],
    ['user info', good.replace('https://', 'https://user@')],
    ['user info with a password', good.replace('https://', 'https://user:word@')],
    ['empty user info', good.replace('https://', 'https://@')],
    ['the default port', good.replace('.net/', '.net:443/')],
    ['a port with a zero before it', good.replace('.net/', '.net:08443/')],
    ['an empty port', good.replace('.net/', '.net:/')],
    ['a port out of range', good.replace('.net/', '.net:65536/')],
    ['a query', `${good}?api-version=7.4`],
    ['an empty query', `${good}?`],
    ['a fragment', `${good}#top`],
    ['an empty fragment', `${good}#`],
    ['no version', 'https://kv-west.vault.azure.net/keys/tde'],
    ['an empty version', 'https://kv-west.vault.azure.net/keys/tde/'],
    ['no name', `https://kv-west.vault.azure.net/keys//${version}`],
    ['a slash at the end', `${good}/`],
    ['one part more', `${good}/wrapkey`],
    ['a secret', good.replace('/keys/', '/secrets/')],
    ['keys in capitals', good.replace('/keys/', '/Keys/')],
    ['a deleted key', good.replace('/keys/', '/deletedkeys/')],
    ['dot segments', `https://kv-west.vault.azure.net/secrets/../keys/tde/${version}`],
    ['a dot segment', `https://kv-west.vault.azure.net/./keys/tde/${version}`],
    ['an encoded letter', good.replace('tde', '%74de')],
    ['an encoded slash', good.replace('/keys/tde', '/keys%2ftde')],
    ['an underscore in the name', good.replace('tde', 'td_e')],
    ['a dot in the name', good.replace('tde', 'td.e')],
    ['a letter of another alphabet in the name', good.replace('tde', 'tdе')],
    ['a letter of another alphabet in the host', good.replace('kv', 'кv')],
    ['full-width letters in the host', good.replace('kv', 'ｋｖ')],
    ['an ideographic full stop', good.replace('.vault', '。vault')],
    ['a soft hyphen in the host', good.replace('kv', 'k\u00adv')],
    ['an IPv4 address in another notation', good.replace('kv-west.vault.azure.net', '0x7f.1')],
    ['a space before', ` ${good}`],
    ['a space after', `${good} `],
    ['a line break after', `${good}\n`],
    ['a tab inside', good.replace('tde', 't\tde')],
    ['a null byte', `${good}\0`],
    ['a name of 128 letters', good.replace('tde', 'n'.repeat(128))],
    ['a version of 65 letters', good.replace(version, 'v'.repeat(65))],
    ['a hyphen in the version', good.replace(version, version.replace('0', '-'))],
    ['513 letters', `https://${'h'.repeat(513 - 57)}.vault.azure.net/keys/tde/${version}`],
  ])('refused: %s', (_name, text) => {
    expect(parseKeyId(text)).toBeUndefined();
  });

  // Node's URL parser and toLowerCase both make a plain k of the Kelvin sign, so that the two look alike.
  test('refused: a Kelvin sign in the host', () => {
    expect(parseKeyId(good.replace('kv', '\u212av'))).toBeUndefined();
  });
});

describe('a thumbprint is 43 letters of base64url', () => {
  const print = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

  test('RFC 7638 names one', () => {
    expect(parseThumbprint(print)).toBe(print);
  });

  test.each([
    ['nothing', ''],
    ['42 letters', print.slice(1)],
    ['44 letters', `${print}A`],
    ['padding', `${print}=`],
    ['plain base64', print.replace('-', '+').replace('_', '/')],
    ['a space', print.replace('N', ' ')],
    ['a line break after', `${print}\n`],
    ['another alphabet', print.replace('z', 'ž')],
  ])('refused: %s', (_name, text) => {
    expect(parseThumbprint(text)).toBeUndefined();
  });
});

test('section 5: RSA1_5 unwraps and never wraps; the first algorithm is the default', () => {
  expect(wrapAlgorithms).toEqual(['RSA-OAEP-256', 'RSA-OAEP']);
  expect(unwrapAlgorithms).toEqual(['RSA-OAEP-256', 'RSA-OAEP', 'RSA1_5']);
});
