import { exportSPKI } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Caller } from '../../src/domain/caller.ts';
import type { Outcome } from '../../src/domain/refusal.ts';
import type { Callers } from '../../src/http/caller.ts';
import { callerSettings, objectId, StillClock, testCallers, TestIssuer } from '../support/wire.ts';

let clock: StillClock;
let issuer: TestIssuer;
let callers: Callers;

beforeEach(async () => {
  clock = new StillClock();
  issuer = new TestIssuer(clock);
  await issuer.addKey('first');
  callers = testCallers(issuer, clock);
});

const identify = async (token: string): Promise<Outcome<Caller>> => callers.identify(`Bearer ${token}`);
async function refusalOf(token: string): Promise<string> {
  const outcome = await identify(token);
  return outcome.ok ? 'accepted' : `${outcome.refusal.code}: ${outcome.refusal.detail}`;
}

function unsigned(header: object, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.`;
}

describe('who calls', () => {
  test('a good token names the caller and the roles that the broker knows', async () => {
    const token = await issuer.sign({ oid: objectId.toUpperCase(), roles: ['KeyBroker.Host', 'Other.Role'] });
    expect(await identify(token)).toEqual({ ok: true, value: { objectId, roles: new Set(['KeyBroker.Host']) } });
  });

  test('a token without any role is a caller who may do nothing', async () => {
    expect(await identify(await issuer.sign({ roles: undefined }))).toEqual({ ok: true, value: { objectId, roles: new Set() } });
  });

  test.each(['PS256', 'ES256'])('%s is accepted too', async (alg) => {
    issuer.removeKey('first');
    await issuer.addKey('other', alg);
    expect((await identify(await issuer.sign({}, { alg }))).ok).toBe(true);
  });
});

describe('bad tokens are Unauthenticated, and the detail says in general why', () => {
  test.each<[string, (now: number) => Record<string, unknown>, RegExp]>([
    ['expired', (now) => ({ exp: now - 61 }), /expired/],
    ['not valid yet', (now) => ({ nbf: now + 61 }), /not valid yet/],
    ['from another issuer', () => ({ iss: 'https://evil.example' }), /another issuer/],
    ['for another audience', () => ({ aud: 'api://other' }), /another audience/],
    ['without expiry', () => ({ exp: undefined }), /when it expires/],
    ['of another tenant', () => ({ tid: '99999999-2222-4333-8444-555555555555' }), /another tenant/],
    ['without oid', () => ({ oid: undefined }), /oid/],
    ['with an oid that is no GUID', () => ({ oid: 'root' }), /oid/],
    ['with roles that are no list', () => ({ roles: 'KeyBroker.Host' }), /roles/],
    ['with an expiry that is no number', () => ({ exp: '9999999999' }), /^Unauthenticated/],
  ])('%s', async (_name, change, reason) => {
    const token = await issuer.sign(change(Math.floor(clock.now() / 1000)));
    expect(await refusalOf(token)).toMatch(/^Unauthenticated: /);
    expect(await refusalOf(token)).toMatch(reason);
  });

  test('the tolerance is for clocks that are apart: 59 s late is accepted', async () => {
    const now = Math.floor(clock.now() / 1000);
    expect(await refusalOf(await issuer.sign({ exp: now - 59, nbf: now + 59 }))).toBe('accepted');
  });

  test('alg none', async () => {
    expect(await refusalOf(unsigned({ alg: 'none', kid: 'first' }, issuer.claims()))).toMatch(/^Unauthenticated/);
    expect(await refusalOf(`${unsigned({ alg: 'none', kid: 'first' }, issuer.claims())}AAAA`)).toMatch(/algorithm/);
  });

  test('HS256, signed with the public key as if it were a secret', async () => {
    const secret = Buffer.from(await exportSPKI(issuer.publicKey('first')));
    expect(await refusalOf(await issuer.sign({}, { alg: 'HS256' }, secret))).toMatch(/^Unauthenticated: .*algorithm/);
  });

  test('signed by a foreign key that takes the name of the issuer’s', async () => {
    const foreign = new TestIssuer(clock);
    await foreign.addKey('first');
    expect(await refusalOf(await foreign.sign())).toMatch(/^Unauthenticated: the signature/);
  });

  test('a claim that was changed after signing', async () => {
    const [header, , signature] = (await issuer.sign()).split('.');
    const claims = Buffer.from(JSON.stringify({ ...issuer.claims(), roles: ['KeyBroker.Operator'] })).toString('base64url');
    expect(await refusalOf(`${header}.${claims}.${signature}`)).toMatch(/^Unauthenticated: the signature/);
  });

  test.each([null, '', 'Bearer', 'Basic abc', 'Bearer a.b', 'Bearer a.b.c.d.e', 'Bearer a b.c.d', 'bearer =.=.='])(
    'header %j',
    async (header) => {
      const outcome = await callers.identify(header);
      expect(outcome.ok ? 'accepted' : outcome.refusal.code).toBe('Unauthenticated');
      expect(issuer.reads).toEqual([]);
    },
  );

  test('one that is too long costs not even a hash', async () => {
    expect(await refusalOf(`a.${'b'.repeat(16_384)}.c`)).toBe('Unauthenticated: the access token is too long');
    expect(issuer.reads).toEqual([]);
  });

  test('nothing of the token is told', async () => {
    const marked = 'MARKEDSECRET';
    for (const token of [
      await issuer.sign({ aud: marked }),
      await issuer.sign({ iss: marked }),
      await issuer.sign({ oid: marked }),
      `${marked}.${marked}.${marked}`,
    ]) {
      expect(JSON.stringify(await identify(token))).not.toContain(marked);
    }
  });
});

describe('the key set', () => {
  test('is found by the metadata, read once, and serves on', async () => {
    for (let caller = 0; caller < 5; caller += 1) await identify(await issuer.sign({ sub: String(caller) }));
    expect(issuer.reads).toEqual([`${issuer.issuer}/.well-known/openid-configuration`, issuer.jwksUri]);
  });

  test('is read at the address that was set, and callers that come at once share one read', async () => {
    callers = testCallers(issuer, clock, { jwksUri: issuer.jwksUri });
    const tokens = await Promise.all(['a', 'b', 'c'].map((sub) => issuer.sign({ sub })));
    expect((await Promise.all(tokens.map(identify))).every((outcome) => outcome.ok)).toBe(true);
    expect(issuer.reads).toEqual([issuer.jwksUri]);
  });

  test('metadata of another issuer are not believed', async () => {
    callers = testCallers(issuer, clock, { issuer: `${issuer.issuer}/` });
    expect(await refusalOf(await issuer.sign())).toMatch(/^IdentityUnavailable/);
  });

  test('a new key is found when a token names it; one that is gone from the set signs no more', async () => {
    callers = testCallers(issuer, clock, { jwksUri: issuer.jwksUri });
    const old = await issuer.sign({ sub: 'old' });
    await identify(await issuer.sign());
    await issuer.addKey('second');
    const rotated = await issuer.sign({}, { kid: 'second' });
    issuer.removeKey('first');
    clock.advance(30_000);
    expect((await identify(rotated)).ok).toBe(true);
    expect(issuer.reads).toHaveLength(2);
    expect(await refusalOf(old)).toMatch(/^Unauthenticated: .*key of the issuer/);
  });

  test('unknown key ids cause one read in 30 s', async () => {
    callers = testCallers(issuer, clock, { jwksUri: issuer.jwksUri });
    await identify(await issuer.sign());
    for (let i = 0; i < 20; i += 1)
      expect(await refusalOf(await issuer.sign({}, { kid: `invented-${i}` }))).toMatch(/^Unauthenticated: .*key of the issuer/);
    expect(issuer.reads).toHaveLength(1);
    clock.advance(30_000);
    for (let i = 0; i < 20; i += 1) await identify(await issuer.sign({}, { kid: `other-${i}` }));
    expect(issuer.reads).toHaveLength(2);
  });

  test('is read again in the background when it is old, and the last one serves on while the issuer is down', async () => {
    callers = testCallers(issuer, clock, { jwksUri: issuer.jwksUri });
    await identify(await issuer.sign());
    issuer.isDown = true;
    for (const hours of [1, 10, 100]) {
      clock.advance(hours * 3_600_000);
      expect((await identify(await issuer.sign())).ok).toBe(true);
    }
    expect(issuer.reads).toHaveLength(4);
  });

  test('none was ever read: IdentityUnavailable, and well again when the issuer is', async () => {
    issuer.isDown = true;
    expect(await refusalOf(await issuer.sign())).toMatch(/^IdentityUnavailable/);
    issuer.isDown = false;
    clock.advance(1000);
    expect((await identify(await issuer.sign())).ok).toBe(true);
  });

  test('an empty set replaces nothing', async () => {
    let keys: unknown = await issuer.readJson(issuer.jwksUri);
    const { createCallers } = await import('../../src/http/caller.ts');
    callers = createCallers(callerSettings(issuer, { jwksUri: issuer.jwksUri }), clock, () => Promise.resolve(keys));
    await identify(await issuer.sign());
    keys = { keys: [] };
    clock.advance(3_600_000);
    await identify(await issuer.sign());
    expect((await identify(await issuer.sign({ sub: 'later' }))).ok).toBe(true);
  });
});

describe('verified tokens are remembered', () => {
  test('until they expire, tolerance included, and no longer', async () => {
    const token = await issuer.sign();
    const first = await identify(token);
    const again = callers.identify(`Bearer ${token}`);
    expect(again).not.toBeInstanceOf(Promise);
    expect(again).toEqual(first);
    clock.advance(3_659_000);
    expect((await identify(token)).ok).toBe(true);
    clock.advance(1000);
    expect(await refusalOf(token)).toMatch(/expired/);
  });

  test('a clock set back does not let in what is not valid yet', async () => {
    const token = await issuer.sign();
    await identify(token);
    clock.advance(-120_000);
    expect(await refusalOf(token)).toMatch(/not valid yet/);
  });

  test('bad tokens are not', async () => {
    const token = await issuer.sign({ aud: 'api://other' });
    await identify(token);
    expect(callers.identify(`Bearer ${token}`)).toBeInstanceOf(Promise);
  });

  test('so many and no more: the one that was used longest ago is forgotten', async () => {
    callers = testCallers(issuer, clock, { rememberedTokens: 2 });
    const [first = '', second = '', third = ''] = await Promise.all(['1', '2', '3'].map((sub) => issuer.sign({ sub })));
    await identify(first);
    await identify(second);
    await identify(first);
    await identify(third);
    const isRemembered = (token: string) => !(callers.identify(`Bearer ${token}`) instanceof Promise);
    expect([first, second, third].map(isRemembered)).toEqual([true, false, true]);
  });
});
