import { describe, expect, it } from 'vitest';
import { createIdentities } from '../../../src/adapters/identity.ts';
import { createKeyVaults } from '../../../src/adapters/key-vault/key-vaults.ts';
import { createTransport } from '../../../src/adapters/key-vault/transport.ts';
import { systemClock } from '../../../src/adapters/clock.ts';
import type { Fault } from '../../../src/domain/fault.ts';
import { millis } from '../../../src/domain/time.ts';
import { faultOf, markedDek, patience, useKeyVaultRig, type KeyVaultRig } from '../../support/key-vault-rig.ts';
import { anonymous401, challengeHeader, healthy, vaultError, vaultHeaders, type Answer, type Step } from '../../support/scripted-vault.ts';
import { createAuthority } from '../../local/certificates.ts';

/** T01 to T28 of the matrix of facts/key-vault-behaviour section 10, each met by an unwrap over a real connection. */
const rigOf = useKeyVaultRig();

const html = (status: number): Answer => ({
  status,
  headers: { 'content-type': 'text/html' },
  body: '<html><body>Blocked by the proxy</body></html>',
});
const forbidden = (inner?: string): Answer => vaultError(403, { code: 'Forbidden', ...(inner === undefined ? {} : { inner }) });
const refusedToken = (message: string, tenant = 'tenant-1'): Answer => ({
  ...vaultError(401, { code: 'Unauthorized', message }),
  headers: { ...vaultHeaders, 'www-authenticate': challengeHeader(tenant) },
});
const success = (body: unknown): Answer => ({ status: 200, headers: vaultHeaders, body: JSON.stringify(body) });

async function unwrapMet(rig: KeyVaultRig, ...steps: readonly Step[]): Promise<Fault> {
  rig.vault.answer(...steps);
  return faultOf(await rig.vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', patience));
}

describe('answers of the vault', () => {
  const rows: readonly (readonly [id: string, step: Answer, expected: Partial<Fault>, sends: number])[] = [
    ['T01 a challenge although a token was sent', anonymous401(), { class: 'ambiguous', code: 'AKV10000', mayHideDenial: true }, 2],
    [
      'T02 wrong tenant',
      refusedToken('AKV10032: Invalid issuer.', 'tenant-2'),
      { class: 'revoked', code: 'AKV10032', reach: 'identity' },
      2,
    ],
    ['T03 wrong audience', refusedToken('AKV10022: Invalid audience.'), { class: 'invalidRequest', code: 'AKV10022' }, 1],
    [
      'T04 signing keys unresolved',
      refusedToken('AKV10046: Unable to resolve the key.'),
      { class: 'ambiguous', code: 'AKV10046', mayHideDenial: false },
      2,
    ],
    [
      'T05 expired token',
      refusedToken("[TokenExpired] Error validating token: 'S2S12086'."),
      { class: 'identityOutage', code: 'Unauthorized' },
      2,
    ],
    ['T07 access policy', forbidden('ForbiddenByPolicy'), { class: 'revoked', code: 'ForbiddenByPolicy', reach: 'identity' }, 1],
    ['T07 access policy, old code', forbidden('AccessDenied'), { class: 'revoked', code: 'AccessDenied', reach: 'identity' }, 1],
    ['T08 RBAC', forbidden('ForbiddenByRbac'), { class: 'revoked', code: 'ForbiddenByRbac', reach: 'identity' }, 1],
    ['T09 firewall', forbidden('ForbiddenByFirewall'), { class: 'revoked', code: 'ForbiddenByFirewall', reach: 'vault' }, 1],
    ['T10 private link', forbidden('ForbiddenByConnection'), { class: 'revoked', code: 'ForbiddenByConnection', reach: 'vault' }, 1],
    ['T11 network perimeter', forbidden('ForbiddenByNsp'), { class: 'revoked', code: 'ForbiddenByNsp', reach: 'vault' }, 1],
    ['T12 disabled key', forbidden('KeyDisabled'), { class: 'revoked', code: 'KeyDisabled', reach: 'key' }, 1],
    ['T13 not in key_ops', forbidden('KeyOperationForbidden'), { class: 'revoked', code: 'KeyOperationForbidden', reach: 'key' }, 1],
    ['T14 unknown inner code', forbidden('ForbiddenByMoon'), { class: 'revoked', code: 'ForbiddenByMoon', reach: 'identity' }, 1],
    ['T14 empty 403', { status: 403, headers: vaultHeaders }, { class: 'revoked', code: null, reach: 'identity' }, 1],
    ['T15 403 of a proxy', html(403), { class: 'ambiguous', mayHideDenial: true }, 1],
    ['T16 no such key', vaultError(404, { code: 'KeyNotFound' }), { class: 'keyGone', code: 'KeyNotFound', reach: 'key' }, 1],
    ['T17 404 of a proxy', html(404), { class: 'ambiguous', mayHideDenial: true }, 1],
    ['T17 404 of another kind', vaultError(404, { code: 'NotFound' }), { class: 'ambiguous', mayHideDenial: true }, 1],
    ['T18 padding', vaultError(400, { code: 'BadParameter' }), { class: 'invalidRequest', code: 'BadParameter' }, 1],
    ['T19 throttle', vaultError(429, { code: 'Throttled' }), { class: 'throttled', code: 'Throttled' }, 1],
    [
      'T19 throttle with Retry-After',
      { ...vaultError(429, { code: 'Throttled' }), headers: { ...vaultHeaders, 'retry-after': '0' } },
      { class: 'throttled' },
      1,
    ],
    ...[500, 502, 503, 504].flatMap((status) => [
      [
        `T20 ${status} JSON`,
        vaultError(status, { code: 'InternalServerError' }),
        { class: 'outage', status, mayHideDenial: false },
        1,
      ] as const,
      [`T20 ${status} HTML`, html(status), { class: 'outage', status }, 1] as const,
      [`T20 ${status} empty`, { status }, { class: 'outage', status }, 1] as const,
    ]),
    ['T20 503 with Retry-After', { status: 503, headers: { ...vaultHeaders, 'retry-after': '0' } }, { class: 'outage' }, 1],
    ['T20 408', { status: 408, headers: vaultHeaders }, { class: 'outage', status: 408 }, 1],
    ...[501, 505, 300, 301, 302, 307, 308, 204, 418].map(
      (status) =>
        [`T21 ${status}`, { status, headers: { ...vaultHeaders, location: '/elsewhere' } }, { class: 'ambiguous', status }, 1] as const,
    ),
    ['T22 200 HTML', html(200), { class: 'ambiguous', status: 200 }, 1],
    ['T22 200 without value', success({ kid: 'https://kv/keys/kek/v1' }), { class: 'ambiguous', status: 200 }, 1],
    ['T22 200 empty', { status: 200, headers: vaultHeaders }, { class: 'ambiguous', status: 200 }, 1],
    ['T22 200 unparsable', { status: 200, headers: vaultHeaders, body: '{"kid":' }, { class: 'ambiguous', status: 200 }, 1],
    ['429 of a proxy', html(429), { class: 'ambiguous', mayHideDenial: false }, 1],
    ['401 of a proxy', html(401), { class: 'ambiguous', mayHideDenial: true }, 1],
    [
      '401 that wants claims',
      {
        ...refusedToken(''),
        headers: { ...vaultHeaders, 'www-authenticate': 'Bearer realm="", error="insufficient_claims", claims="e30="' },
      },
      { class: 'revoked', reach: 'identity' },
      1,
    ],
  ];

  it.each(rows)('F1: %s', async (_, step, expected, sends) => {
    const rig = rigOf();
    expect(await unwrapMet(rig, step)).toMatchObject({ reach: null, ...expected });
    expect(rig.vault.seen.filter((one) => one.token !== null)).toHaveLength(sends);
  });

  it('C3, T22: a success that names another key id, no value, or no value that decodes is ambiguous', async () => {
    const rig = rigOf();
    const { keyId } = rig.target;
    for (const body of [
      { kid: keyId.replace('/v1', '/v2'), value: 'AAAA' },
      { kid: keyId, value: '' },
      { kid: keyId, value: 'A' },
      { kid: keyId, value: 'AA==' },
      { kid: keyId },
    ]) {
      expect(await unwrapMet(rig, success(body))).toMatchObject({ class: 'ambiguous', status: 200 });
    }
  });

  it("C3: a perfect body without Key Vault's headers is ambiguous", async () => {
    const rig = rigOf();
    const step: Answer = {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kid: rig.target.keyId, value: 'AAAA' }),
    };
    expect(await unwrapMet(rig, step)).toMatchObject({ class: 'ambiguous', mayHideDenial: false });
  });

  it('T02: the tenant of the new challenge is learned, a new token is made and the call sent once more', async () => {
    const rig = rigOf();
    const answers = [refusedToken('AKV10032: Invalid issuer.', 'tenant-2')];
    rig.vault.answer((request) => answers.shift() ?? healthy(request, rig.vault.vault.uri));
    expect(await rig.vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', patience)).toMatchObject({ ok: true });
    const [challenged, first, second] = rig.vault.seen;
    expect(challenged?.token).toBeNull();
    expect(first?.token).not.toBe(second?.token);
  });

  it('T05: a forced new token that is accepted makes the call a success', async () => {
    const rig = rigOf();
    const answers = [refusedToken('Error validating token: IDX10223')];
    rig.vault.answer((request) => answers.shift() ?? healthy(request, rig.vault.vault.uri));
    expect(await rig.vaults.wrap(rig.target, markedDek(), 'RSA-OAEP-256', patience)).toMatchObject({ ok: true });
    expect(rig.identity.seen).toHaveLength(2);
  });

  it('F7: throttling is never repeated by the SDK, even with a Retry-After', async () => {
    const rig = rigOf();
    await unwrapMet(rig, { ...vaultError(429, { code: 'Throttled' }), headers: { ...vaultHeaders, 'retry-after-ms': '1' } });
    expect(rig.vault.seen.filter((one) => one.token !== null)).toHaveLength(1);
  });

  it('C2: only a wrap that is refused for the key’s validity is outside validity', async () => {
    const rig = rigOf();
    const expired = vaultError(403, {
      code: 'Forbidden',
      inner: 'KeyExpired',
      message: 'Operation wrapKey is not allowed on an expired key.',
    });
    const early = vaultError(403, { code: 'Forbidden', message: 'Operation wrapKey is not allowed on a not yet valid key.' });
    for (const step of [expired, early]) {
      rig.vault.answer(step);
      const wrapped = faultOf(await rig.vaults.wrap(rig.target, markedDek(), 'RSA-OAEP-256', patience));
      expect(wrapped).toMatchObject({ class: 'revoked', outsideValidity: true, reach: 'key' });
      expect(await unwrapMet(rig, step)).toMatchObject({ class: 'revoked', outsideValidity: false });
    }
    rig.vault.answer(
      vaultError(403, { code: 'Forbidden', inner: 'KeyDisabled', message: 'Operation wrapKey is not allowed on a disabled key.' }),
    );
    expect(faultOf(await rig.vaults.wrap(rig.target, markedDek(), 'RSA-OAEP-256', patience))).toMatchObject({ outsideValidity: false });
  });
});

describe('connections', () => {
  it('T23: a reset before the answer is an outage', async () => {
    expect(await unwrapMet(rigOf(), 'reset')).toMatchObject({ class: 'outage', code: 'ECONNRESET', status: null });
  });

  it('T23: a refused connection is an outage', async () => {
    const rig = rigOf();
    await rig.vault.close();
    expect(await unwrapMet(rig)).toMatchObject({ class: 'outage', code: 'ECONNREFUSED' });
  });

  it.each(['ETIMEDOUT', 'EHOSTUNREACH'])('T23: %s is an outage', async (errno) => {
    const rig = rigOf();
    rig.names.fail(errno);
    expect(await unwrapMet(rig)).toMatchObject({ class: 'outage', code: errno });
  });

  it('T23, C5: no answer within the deadline is an outage', async () => {
    const rig = rigOf();
    await rig.vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', patience);
    rig.vault.answer('hang');
    const reply = await rig.vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', millis(60));
    expect(faultOf(reply)).toMatchObject({ class: 'outage', code: 'DEADLINE' });
  });

  it.each([
    [
      'a 200',
      { status: 200, headers: vaultHeaders, body: '{"kid":"x","value":"AAAA"}' },
      { class: 'outage', code: 'DEADLINE', status: 200 },
    ],
    ['a 403: the denial was made', forbidden('KeyDisabled'), { class: 'revoked', reach: 'identity', status: 403 }],
    ['a 404', vaultError(404, { code: 'KeyNotFound' }), { class: 'ambiguous', mayHideDenial: true, status: 404 }],
    ['a 503', { status: 503, headers: vaultHeaders, body: 'x' }, { class: 'outage', status: 503 }],
  ] satisfies readonly (readonly [string, Answer, Partial<Fault>])[])(
    'T23, C5: the deadline covers the body of %s',
    async (_, stalled, expected) => {
      const rig = rigOf();
      await rig.vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', patience);
      rig.vault.answer({ stall: stalled });
      const reply = await rig.vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', millis(600));
      expect(faultOf(reply)).toMatchObject(expected);
    },
  );

  it('T24: ENOTFOUND is vaultGone if the second resolver says that the name is gone', async () => {
    const rig = rigOf();
    rig.names.fail('ENOTFOUND');
    rig.confirmation = 'gone';
    expect(await unwrapMet(rig)).toMatchObject({ class: 'vaultGone', code: 'ENOTFOUND', reach: 'vault' });
  });

  it('T25: ENOTFOUND without confirmation is ambiguous and may hide a denial', async () => {
    const rig = rigOf();
    rig.names.fail('ENOTFOUND');
    expect(await unwrapMet(rig)).toMatchObject({ class: 'ambiguous', code: 'ENOTFOUND', mayHideDenial: true });
  });

  it.each(['ENODATA', 'EAI_AGAIN', 'EAI_FAIL', 'ENETUNREACH'])('T25: %s is ambiguous', async (errno) => {
    const rig = rigOf();
    rig.names.fail(errno);
    rig.confirmation = 'gone';
    expect(await unwrapMet(rig)).toMatchObject({ class: 'ambiguous', code: errno, mayHideDenial: false });
  });

  it('T26: a certificate that is not trusted is ambiguous', async () => {
    const rig = rigOf();
    const transport = createTransport({ clock: systemClock, ca: createAuthority('Another').cert });
    const vaults = createKeyVaults({
      transport,
      identities: createIdentities({ clock: systemClock }),
      resolver: { confirm: () => Promise.resolve('gone') },
      clock: systemClock,
    });
    const reply = await vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', patience);
    expect(faultOf(reply)).toMatchObject({ class: 'ambiguous', mayHideDenial: false, reach: null, status: null });
    expect(rig.vault.seen).toEqual([]);
    transport.close();
  });

  it('T26: a certificate for another name is ambiguous', async () => {
    const rig = rigOf();
    const uri = rig.vault.vault.uri.replace('kv-one', 'kv-two');
    const target = {
      ...rig.target,
      vault: { ...rig.vault.vault, uri },
      keyId: rig.target.keyId.replace('kv-one', 'kv-two') as typeof rig.target.keyId,
    };
    const reply = await rig.vaults.unwrap(target, new Uint8Array(256), 'RSA-OAEP-256', patience);
    expect(faultOf(reply)).toMatchObject({ class: 'ambiguous', code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });
});

describe('the token step', () => {
  const body = (content: object): string => JSON.stringify(content);
  it.each([
    [
      'T27 no identity',
      { status: 400, body: body({ statusCode: 400, message: 'No User Assigned or Delegated Managed Identity found' }) },
      { class: 'revoked', code: 'IDENTITY_400' },
    ],
    [
      'T27 application gone',
      { status: 400, body: body({ error: 'unauthorized_client', error_description: 'AADSTS700016: x' }) },
      { class: 'revoked', code: 'AADSTS700016' },
    ],
    [
      'T27 invalid secret',
      { status: 401, body: body({ error: 'invalid_client', error_description: 'AADSTS7000215: x' }) },
      { class: 'revoked', code: 'AADSTS7000215' },
    ],
    [
      'T27 expired secret',
      { status: 401, body: body({ error: 'invalid_client', error_description: 'AADSTS7000222: x' }) },
      { class: 'revoked', code: 'AADSTS7000222' },
    ],
    [
      'T27 application disabled',
      { status: 400, body: body({ error: 'unauthorized_client', error_description: 'AADSTS7000112: x' }) },
      { class: 'revoked', code: 'AADSTS7000112' },
    ],
    ['T28 404', { status: 404, body: '' }, { class: 'identityOutage', code: 'IDENTITY_404' }],
    ['T28 410', { status: 410, body: '' }, { class: 'identityOutage', code: 'IDENTITY_410' }],
    ['T28 429', { status: 429, body: body({}) }, { class: 'identityOutage', code: 'IDENTITY_429' }],
    ['T28 500 JSON', { status: 500, body: body({ error: 'unknown' }) }, { class: 'identityOutage', code: 'unknown' }],
    ['T28 500 HTML', { status: 500, body: '<html>' }, { class: 'identityOutage', code: 'IDENTITY_500' }],
    ['T28 503 empty', { status: 503, body: '' }, { class: 'identityOutage', code: 'IDENTITY_503' }],
    [
      'T28 directory away',
      { status: 400, body: body({ error: 'temporarily_unavailable', error_description: 'AADSTS90033: x' }) },
      { class: 'identityOutage', code: 'AADSTS90033' },
    ],
    ['T28 200 without a token', { status: 200, body: body({}) }, { class: 'identityOutage', code: 'IDENTITY_200' }],
    ['T28 refused', 'reset', { class: 'identityOutage', code: 'ECONNRESET' }],
    ['bad header', { status: 401, body: body({}) }, { class: 'invalidRequest', code: 'IDENTITY_401' }],
    [
      'unknown resource',
      { status: 400, body: body({ error: 'invalid_resource', error_description: 'AADSTS500011: x' }) },
      { class: 'invalidRequest', code: 'AADSTS500011' },
    ],
  ] as const)('F1: %s', async (_, step, expected) => {
    const rig = rigOf();
    rig.identity.answer(step);
    const reach = expected.class === 'revoked' ? 'identity' : null;
    expect(await unwrapMet(rig)).toMatchObject({ ...expected, reach, status: null, mayHideDenial: false });
    expect(rig.identity.seen).toHaveLength(1);
    expect(rig.vault.seen.map((one) => one.token)).toEqual([null]);
  });

  it('T28: a token source that hangs is an identity outage when the deadline passes', async () => {
    const rig = rigOf();
    rig.identity.answer('hang');
    const reply = await rig.vaults.unwrap(rig.target, new Uint8Array(256), 'RSA-OAEP-256', millis(500));
    expect(faultOf(reply)).toMatchObject({ class: 'identityOutage', code: 'DEADLINE' });
  });
});
