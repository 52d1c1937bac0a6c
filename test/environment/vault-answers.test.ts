import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ask, garbage, key, principal, start, unwrap, vaultWith, version, wrap, wrapped } from '../support/bare-vault.ts';

interface Vector {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

const vectors = new URL('../vectors/key-vault/', import.meta.url);
/** By the name of its vector: how to bring the vault to that answer. */
const cases: Readonly<Record<string, () => Promise<Awaited<ReturnType<typeof ask>>>>> = {
  challenge: async () => wrap(await vaultWith(), { token: null }),
  'hsm-challenge': async () => wrap(await vaultWith({ kind: 'managedHsm' }), { token: null }),
  'wrong-tenant': async () => wrap(await vaultWith(), { token: 'foreign' }),
  'wrong-audience': async () => wrap(await vaultWith(), { token: 'audience' }),
  'expired-token': async () => wrap(await vaultWith(), { token: 'expired' }),
  'unresolved-signing-key': async () => wrap(await vaultWith(), { token: 'rotated' }),
  'hsm-token-rejected': async () => wrap(await vaultWith({ kind: 'managedHsm' }), { token: 'good' }),
  'forbidden-by-rbac': async () => {
    const vault = await vaultWith();
    vault.controls.setAccess(principal, ['get', 'wrapKey']);
    return unwrap(vault, garbage);
  },
  'forbidden-by-policy': async () => {
    const vault = await vaultWith({ denial: 'accessPolicy' });
    vault.controls.setAccess(undefined, []);
    return unwrap(vault, garbage);
  },
  'hsm-access-denied': async () => {
    const vault = await vaultWith({ kind: 'managedHsm' });
    vault.controls.setAccess(undefined, ['get']);
    return unwrap(vault, garbage, { token: 'hsm' });
  },
  firewall: () => faulty(403, 'ForbiddenByFirewall'),
  connection: () => faulty(403, 'ForbiddenByConnection'),
  'key-disabled': async () => {
    const vault = await vaultWith();
    const value = await wrapped(vault);
    vault.controls.patchKey('tde', version, { enabled: false });
    return unwrap(vault, value);
  },
  'key-operation-forbidden': async () => {
    const vault = await vaultWith();
    await ask(vault, `PATCH ${key}`, { body: { key_ops: ['wrapKey', 'unwrapKey'] } });
    return ask(vault, `POST ${key}/decrypt`, { body: { alg: 'RSA-OAEP-256', value: garbage } });
  },
  'key-expired': async () => {
    const vault = await vaultWith();
    vault.controls.patchKey('tde', version, { expires: start });
    return wrap(vault);
  },
  'key-not-yet-valid': async () => {
    const vault = await vaultWith();
    vault.controls.patchKey('tde', version, { notBefore: start + 1000 });
    return wrap(vault);
  },
  'key-not-found': async () => ask(await vaultWith(), 'GET /keys/none/'),
  'version-not-found': async () => ask(await vaultWith(), 'GET /keys/tde/ffffffffffffffffffffffffffffffff'),
  'key-soft-deleted': async () => {
    const vault = await vaultWith();
    vault.controls.deleteKey('tde');
    return wrap(vault);
  },
  'deleted-key-not-found': async () => ask(await vaultWith(), 'GET /deletedkeys/tde'),
  'restore-conflict': async () => {
    const vault = await vaultWith();
    const { body } = await ask(vault, 'POST /keys/tde/backup');
    return ask(vault, 'POST /keys/restore', { body: JSON.parse(body) });
  },
  'malformed-backup': async () => ask(await vaultWith(), 'POST /keys/restore', { body: { value: 'AAAA' } }),
  'bad-padding': async () => unwrap(await vaultWith(), garbage),
  'malformed-value': async () => unwrap(await vaultWith(), '+not/base64url='),
  throttled: async () => {
    const vault = await vaultWith();
    vault.fault = { fault: 'throttle' };
    return wrap(vault);
  },
  unwrapped: async () => {
    const vault = await vaultWith();
    return unwrap(vault, await wrapped(vault));
  },
};

async function faulty(status: number, innerCode: string) {
  const vault = await vaultWith();
  vault.fault = { fault: 'status', status, innerCode };
  return wrap(vault);
}

describe('answers, byte for byte', () => {
  test('every vector has its case', () => {
    expect(readdirSync(vectors).sort()).toEqual(
      Object.keys(cases)
        .map((name) => `${name}.json`)
        .sort(),
    );
  });

  test.each(Object.keys(cases))('%s', async (name) => {
    const vector = JSON.parse(readFileSync(new URL(`${name}.json`, vectors), 'utf8')) as Vector;
    const answer = await cases[name]?.();
    expect(answer).toMatchObject({ status: vector.status, body: vector.body });
    if (vector.headers !== undefined) expect(answer?.headers).toEqual(vector.headers);
    expect(Object.keys(answer?.headers ?? {})).not.toContain('retry-after');
    expect(answer?.headers['content-length']).toBe(String(Buffer.byteLength(vector.body)));
    expect('www-authenticate' in (answer?.headers ?? {})).toBe(vector.status === 401);
  });
});
