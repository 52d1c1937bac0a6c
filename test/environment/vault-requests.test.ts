import { beforeEach, describe, expect, test } from 'vitest';
import { ask, clock, key, start, unwrap, vaultWith, version, wrap, wrapped } from '../support/bare-vault.ts';

beforeEach(() => {
  clock.now = start;
});

describe('the state of a key', () => {
  test('F5: a disabled key still wraps and encrypts, and does not unwrap, decrypt or sign', async () => {
    const vault = await vaultWith();
    const value = await wrapped(vault);
    vault.controls.patchKey('tde', version, { enabled: false });
    const asked = async (verb: string, body: object) => (await ask(vault, `POST ${key}/${verb}`, { body })).status;
    expect({
      get: (await ask(vault, `GET ${key}`)).status,
      wrap: (await wrap(vault)).status,
      encrypt: await asked('encrypt', { alg: 'RSA-OAEP', value: 'ZGVr' }),
      unwrap: (await unwrap(vault, value)).status,
      decrypt: await asked('decrypt', { alg: 'RSA-OAEP-256', value }),
      sign: await asked('sign', { alg: 'RS256', value: Buffer.alloc(32).toString('base64url') }),
    }).toEqual({ get: 200, wrap: 200, encrypt: 200, unwrap: 403, decrypt: 403, sign: 403 });
  });

  test('C2: an expired key unwraps, and wraps no more from the second at which it expires', async () => {
    const vault = await vaultWith();
    const value = await wrapped(vault);
    vault.controls.patchKey('tde', version, { expires: start + 5000 });
    clock.now = start + 4999;
    expect((await wrap(vault)).status).toBe(200);
    clock.now = start + 5000;
    expect((await wrap(vault)).status).toBe(403);
    expect((await unwrap(vault, value)).status).toBe(200);
  });

  test('a token that expires is refused although it was accepted before', async () => {
    const vault = await vaultWith();
    expect((await wrap(vault)).status).toBe(200);
    clock.now = start + 3_600_000;
    expect((await wrap(vault)).status).toBe(401);
  });
});

describe('requests that make no sense', () => {
  test.each([
    ['no body', undefined],
    ['a list', []],
    ['no value', { alg: 'RSA-OAEP-256' }],
    ['an empty value', { alg: 'RSA-OAEP-256', value: '' }],
    ['padding', { alg: 'RSA-OAEP-256', value: 'ZGVrZA==' }],
    ['an unknown algorithm', { alg: 'A256KW', value: 'ZGVr' }],
    ['a plaintext one byte too long', { alg: 'RSA-OAEP-256', value: Buffer.alloc(191).toString('base64url') }],
  ])('wrap with %s is a bad parameter', async (_, body) => {
    expect(await ask(await vaultWith(), `POST ${key}/wrapkey`, { body })).toMatchObject({
      status: 400,
      body: '{"error":{"code":"BadParameter","message":"Property has invalid value\\r\\n"}}',
    });
  });

  test.each([
    ['GET /nothing', 404],
    [`GET ${key}/wrapkey`, 405],
    ['PUT /keys/tde', 405],
    ['GET /keys/t%64e', 400],
    ['POST /keys/tde/create', 400],
  ])('%s is answered with %i', async (line, status) => {
    expect((await ask(await vaultWith(), line)).status).toBe(status);
  });

  test('the longest plaintext that fits is wrapped', async () => {
    const body = { alg: 'RSA-OAEP-256', value: Buffer.alloc(190).toString('base64url') };
    expect((await ask(await vaultWith(), `POST ${key}/wrapkey`, { body })).status).toBe(200);
  });

  test('a request without a version of the API is a bad parameter', async () => {
    const vault = await vaultWith();
    const authorization = 'Bearer header.good.signature';
    const reaction = await vault.handle({ method: 'GET', target: key, authorization, clientRequestId: undefined, body: Buffer.alloc(0) });
    expect(reaction).toMatchObject({ answer: { status: 400 } });
  });

  test('PKCS #1 v1.5: garbage is an error, never random bytes', async () => {
    const vault = await vaultWith();
    for (const fill of [1, 2, 3, 4]) {
      const value = Buffer.alloc(256, fill).toString('base64url');
      expect((await ask(vault, `POST ${key}/unwrapkey`, { body: { alg: 'RSA1_5', value } })).status).toBe(400);
    }
  });
});

describe('health', () => {
  test('answers anyone with four bytes and the headers of a vault', async () => {
    const answer = await ask(await vaultWith(), 'GET /healthstatus', { token: null });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-length': '4', 'x-ms-keyvault-service-version': '1.9.1054.1' } });
  });
});

describe('B2: limits', () => {
  test.each([
    ['vault', 'good', 429],
    ['managedHsm', 'hsm', 200],
  ] as const)('a %s that did all it may in 10 s (tokens: %s) answers with %i, and 10 s later with 200', async (kind, token, status) => {
    const vault = await vaultWith({ kind });
    const read = async () => (await ask(vault, `GET ${key}`, { token })).status;
    const seen = new Set<number>();
    for (let count = 0; count < 4000; count += 1) seen.add(await read());
    expect([...seen]).toEqual([200]);
    expect(await read()).toBe(status);
    clock.now += 10_000;
    expect(await read()).toBe(200);
  });
});
