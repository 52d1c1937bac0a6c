import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/adapters/clock.ts';
import type { KeyId } from '../../../src/domain/key.ts';
import { millis } from '../../../src/domain/time.ts';
import { faultOf, markedDek, patience, useKeyVaultRig } from '../../support/key-vault-rig.ts';
import { anonymous401, challengeHeader, healthy, vaultHeaders, type Answer, type Step } from '../../support/scripted-vault.ts';

const rigOf = useKeyVaultRig();
const wrapped = new Uint8Array(256).fill(7);

describe('one operation, one request', () => {
  it('C1: no GET, no retry, no local wrap; the challenge is met once', async () => {
    const { vaults, vault, target } = rigOf();
    for (const algorithm of ['RSA-OAEP-256', 'RSA-OAEP'] as const) {
      expect(await vaults.wrap(target, markedDek(), algorithm, patience)).toMatchObject({ ok: true });
      expect(await vaults.unwrap(target, wrapped, algorithm, patience)).toMatchObject({ ok: true });
    }
    expect(await vaults.unwrap(target, wrapped, 'RSA1_5', patience)).toMatchObject({ ok: true });
    expect(vault.seen.map((one) => [one.method, one.path.split('?')[0], one.token === null])).toEqual([
      ['POST', '/keys/kek/v1/wrapkey', true],
      ['POST', '/keys/kek/v1/wrapkey', false],
      ['POST', '/keys/kek/v1/unwrapkey', false],
      ['POST', '/keys/kek/v1/wrapkey', false],
      ['POST', '/keys/kek/v1/unwrapkey', false],
      ['POST', '/keys/kek/v1/unwrapkey', false],
    ]);
  });

  it('C1, C4: five first operations at once meet one challenge and send no body without a token', async () => {
    const { vaults, vault, target, identity } = rigOf();
    const other = { ...target, keyId: target.keyId.replace('/kek/', '/other/') as KeyId };
    const replies = await Promise.all(
      [target, other, target, other, target].map((one) => vaults.wrap(one, markedDek(), 'RSA-OAEP', patience)),
    );
    expect(replies.every((reply) => reply.ok)).toBe(true);
    expect(vault.seen.filter((one) => one.token === null)).toMatchObject([{ body: '' }]);
    expect(vault.seen.filter((one) => one.token !== null && one.body !== '')).toHaveLength(5);
    expect(identity.seen).toHaveLength(1);
  });

  it('C1: connections are kept and used again', async () => {
    const { vaults, vault, target } = rigOf();
    for (let i = 0; i < 4; i += 1) await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience);
    expect(new Set(vault.seen.map((one) => one.connection))).toEqual(new Set([1]));
  });

  it('C1: a reset on a reused connection is tried once more, on a fresh one', async () => {
    const { vaults, vault, target } = rigOf();
    await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience);
    vault.answer('reset', (request) => healthy(request, vault.vault.uri));
    expect(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience)).toMatchObject({ ok: true });
    expect(vault.seen.map((one) => one.connection)).toEqual([1, 1, 1, 2]);
  });

  it('C1: a fresh one, not another kept one that may be as stale', async () => {
    const { vaults, vault, target } = rigOf();
    await Promise.all([1, 2, 3].map(() => vaults.wrap(target, markedDek(), 'RSA-OAEP', patience)));
    const kept = Math.max(...vault.seen.map((one) => one.connection));
    expect(kept).toBeGreaterThan(1);
    vault.answer((request) => (request.connection <= kept ? 'reset' : healthy(request, vault.vault.uri)));
    expect(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience)).toMatchObject({ ok: true });
  });

  it('C1: an answer that breaks off on a reused connection is not asked for again: the vault has met the call', async () => {
    const { vaults, vault, target } = rigOf();
    await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience);
    vault.answer({ cut: { status: 200, headers: vaultHeaders, body: '{}' } });
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({ class: 'outage', status: 200 });
    expect(vault.seen).toHaveLength(3);
  });

  it('C1: it is tried no more than once', async () => {
    const { vaults, vault, target } = rigOf();
    await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience);
    vault.answer('reset');
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({ class: 'outage', code: 'ECONNRESET' });
    expect(vault.seen).toHaveLength(4);
  });

  it('C1: a reset on a fresh connection is not tried again', async () => {
    const { vaults, vault, target } = rigOf();
    vault.challenge('reset');
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({ class: 'outage' });
    expect(vault.seen).toHaveLength(1);
  });

  it('F1: a token that no request can carry is no outage, and not repeated', async () => {
    const { vaults, vault, target, identity } = rigOf();
    const token = { access_token: 'line\nbreak', expires_on: '9999999999', resource: 'https://vault.test', token_type: 'Bearer' };
    identity.answer({ status: 200, body: JSON.stringify(token) });
    const fault = faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience));
    expect(fault).toMatchObject({ class: 'ambiguous', code: 'UND_ERR_INVALID_ARG' });
    expect(JSON.stringify(fault)).not.toContain('break');
    expect(vault.seen.map(({ token: sent }) => sent)).toEqual([null]);
  });
});

describe('values', () => {
  it('C4: wrap leaves the caller’s DEK as it is; unwrap gives one of its own that can be wiped', async () => {
    const { vaults, target } = rigOf();
    const dek = markedDek();
    const reply = await vaults.wrap(target, dek, 'RSA-OAEP-256', patience);
    if (!reply.ok) throw new Error(reply.fault.detail);
    expect([...reply.value]).toEqual([...markedDek().reveal()]);
    expect([...dek.reveal()]).toEqual([...markedDek().reveal()]);
    const unwrapped = await vaults.unwrap(target, reply.value, 'RSA-OAEP-256', patience);
    if (!unwrapped.ok) throw new Error(unwrapped.fault.detail);
    expect([...unwrapped.value.reveal()]).toEqual([...dek.reveal()]);
    unwrapped.value.zero();
    expect([...unwrapped.value.reveal()]).toEqual(new Array(32).fill(0));
  });

  it('F5: the reply says when the request left and when the answer came', async () => {
    const { vaults, target } = rigOf();
    const before = systemClock.now();
    const reply = await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience);
    expect(reply.sentAt).toBeGreaterThanOrEqual(before);
    expect(reply.receivedAt).toBeGreaterThanOrEqual(reply.sentAt);
    expect(reply.receivedAt).toBeLessThanOrEqual(systemClock.now());
  });

  const modulus = Buffer.concat([Buffer.from([0xc1]), Buffer.alloc(255, 3)]).toString('base64url');
  const bundle = (keyId: string, attributes: object = {}): Answer => ({
    status: 200,
    headers: vaultHeaders,
    body: JSON.stringify({
      key: { kid: keyId, kty: 'RSA-HSM', key_ops: ['wrapKey', 'unwrapKey'], n: modulus, e: 'AQAB' },
      attributes: { enabled: true, nbf: 1_700_000_000, exp: 1_893_456_000, recoveryLevel: 'Recoverable', ...attributes },
    }),
  });

  it('C3: an answer that spells the key id as the key was created names the key that was asked for', async () => {
    const { vaults, vault, target } = rigOf();
    const kid = target.keyId.replace('/kek/', '/KEK/');
    const unwrapped: Answer = { status: 200, headers: vaultHeaders, body: JSON.stringify({ kid, value: 'AAAA' }) };
    vault.answer(bundle(kid), unwrapped);
    expect(await vaults.get(target, patience)).toMatchObject({ ok: true, value: { keyId: target.keyId } });
    expect(await vaults.unwrap(target, wrapped, 'RSA-OAEP-256', patience)).toMatchObject({ ok: true });
  });

  it('K2, K3: get says what the vault says of the key, with its region and the tenant of its challenge', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer(bundle(target.keyId));
    const thumbprint = createHash('sha256')
      .update(JSON.stringify({ e: 'AQAB', kty: 'RSA', n: modulus }))
      .digest('base64url');
    expect(await vaults.get(target, patience)).toMatchObject({
      ok: true,
      value: {
        keyId: target.keyId,
        keyType: 'RSA-HSM',
        keySize: 2048,
        thumbprint,
        publicKey: { n: modulus, e: 'AQAB' },
        enabled: true,
        notBefore: 1_700_000_000_000,
        expires: 1_893_456_000_000,
        operations: ['wrapKey', 'unwrapKey'],
        recoveryLevel: 'Recoverable',
        vaultRegion: 'westeurope',
        tenant: 'tenant-1',
      },
    });
    expect(vault.seen.map((one) => one.method)).toEqual(['GET', 'GET']);
  });

  it('K3, T02: a vault that moved to another tenant shows its new tenant', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer(
      { ...anonymous401(), headers: { ...vaultHeaders, 'www-authenticate': challengeHeader('tenant-2') } },
      bundle(target.keyId),
    );
    expect(await vaults.get(target, patience)).toMatchObject({ ok: true, value: { tenant: 'tenant-2' } });
  });

  it('C3: a get that names another key, or lacks what every key has, is ambiguous', async () => {
    const { vaults, vault, target } = rigOf();
    for (const answer of [bundle(`${target.keyId}2`), bundle(target.keyId, { recoveryLevel: 7 })]) {
      vault.answer(answer);
      expect(faultOf(await vaults.get(target, patience))).toMatchObject({ class: 'ambiguous', status: 200 });
    }
  });

  it('F4: each server’s identity calls with its own token', async () => {
    const { vaults, vault, target, identity } = rigOf();
    await vaults.wrap({ ...target, identity: 'identity-a' }, markedDek(), 'RSA-OAEP', patience);
    await vaults.wrap({ ...target, identity: 'identity-b' }, markedDek(), 'RSA-OAEP', patience);
    expect(identity.seen).toEqual([
      { clientId: 'identity-a', resource: 'https://vault.test' },
      { clientId: 'identity-b', resource: 'https://vault.test' },
    ]);
    const tokens = vault.seen.flatMap((one) => one.token ?? []);
    expect(new Set(tokens).size).toBe(2);
  });
});

describe('what must not be sent', () => {
  it.each(['https://vault.azure.net', 'https://evil.test', 'https://ult.test'])(
    'K3: a challenge for %s gets neither token nor body',
    async (resource) => {
      const { vaults, vault, target, identity } = rigOf();
      vault.challenge({ ...anonymous401(), headers: { ...vaultHeaders, 'www-authenticate': challengeHeader('tenant-1', resource) } });
      expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({
        class: 'invalidRequest',
        code: 'ChallengeRefused',
      });
      expect(vault.seen).toMatchObject([{ token: null, body: '' }]);
      expect(identity.seen).toEqual([]);
    },
  );

  it('K1: a key id of another vault is refused before anything is sent', async () => {
    const { vaults, vault, target } = rigOf();
    const foreign = { ...target, keyId: 'https://kv-two.vault.test/keys/kek/v1' as KeyId };
    expect(faultOf(await vaults.wrap(foreign, markedDek(), 'RSA-OAEP', patience))).toMatchObject({
      class: 'invalidRequest',
      code: 'KeyNotInVault',
    });
    expect(vault.seen).toEqual([]);
  });

  it('K3: a later challenge is verified like the first: nothing is sent to a resource that is not the vault’s, and it is not kept', async () => {
    const { vaults, vault, target } = rigOf();
    const turned = {
      ...anonymous401(),
      headers: { ...vaultHeaders, 'www-authenticate': challengeHeader('tenant-1', 'https://evil.test') },
    };
    vault.answer(turned, (request) => healthy(request, vault.vault.uri));
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({ class: 'ambiguous', status: 401 });
    expect(vault.seen.filter((one) => one.token !== null)).toHaveLength(1);
    expect(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience)).toMatchObject({ ok: true });
  });

  it('C3: no compressed answer is asked for', async () => {
    const { vaults, vault, target } = rigOf();
    await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience);
    expect(vault.seen.map((one) => one.encodings)).toEqual([null, null]);
  });

  it('C1: a redirect is not followed', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer({ status: 307, headers: { ...vaultHeaders, location: `${vault.vault.uri}/keys/kek/v1/wrapkey` } });
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({ class: 'ambiguous', status: 307 });
    expect(vault.seen).toHaveLength(2);
  });
});

describe('odd answers', () => {
  it.each([
    [
      'a firewall that refuses the challenge',
      { status: 403, headers: vaultHeaders, body: '{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByFirewall"}}}' },
      'revoked',
    ],
    ['a 200 to a request without a token', { status: 200, headers: vaultHeaders, body: '{}' }, 'ambiguous'],
    ['a challenge without a resource', { status: 401, headers: { ...vaultHeaders, 'www-authenticate': 'Bearer realm="x"' } }, 'ambiguous'],
    ['a challenge of a proxy', { status: 401, headers: { 'www-authenticate': challengeHeader('tenant-1') } }, 'ambiguous'],
    ['a vault that is out', { status: 503 }, 'outage'],
  ] satisfies readonly (readonly [string, Step, string])[])('F1: in the place of the challenge, %s', async (_, step, expected) => {
    const { vaults, vault, target } = rigOf();
    vault.challenge(step);
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({ class: expected });
    vault.challenge(anonymous401());
    expect(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience)).toMatchObject({ ok: true });
  });

  it('C5: a vault that never answers the challenge is an outage when the deadline passes', async () => {
    const { vaults, vault, target } = rigOf();
    vault.challenge('hang');
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', millis(80)))).toMatchObject({ class: 'outage', code: 'DEADLINE' });
  });

  it('C5: a body beyond 64 KiB is not read on', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer({ status: 200, headers: vaultHeaders, body: JSON.stringify({ kid: target.keyId, value: 'A'.repeat(70_000) }) });
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({
      class: 'ambiguous',
      code: 'BODY_TOO_LARGE',
    });
  });

  it('C3: a compressed answer, which was not asked for, is ambiguous', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer({ status: 200, headers: { ...vaultHeaders, 'content-encoding': 'gzip' }, body: 'x' });
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP', patience))).toMatchObject({
      class: 'ambiguous',
      code: 'BODY_ENCODED',
    });
  });
});
