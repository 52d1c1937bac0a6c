import { describe, expect, it } from 'vitest';
import { slotAt, slotByHand, isSlot } from '../../src/domain/audit.ts';
import type { KeyFacts } from '../../src/domain/key.ts';
import type { Link } from '../../src/domain/server.ts';
import { instant, millis } from '../../src/domain/time.ts';
import { deniesAccess, roomFindings, serverFindings, wrapsGoTo } from '../../src/policy/audit-rules.ts';
import type { AuditContext, LinkSeen } from '../../src/policy/audit-rules.ts';
import { excessFindings } from '../../src/policy/excess.ts';
import { aCandidate, aFault, aKeyContext, aLatch, anUntried, aPicture, at, hour, minute, noon, someFacts } from '../support/builders.ts';
import { aLink, anAccess, aRef, aRegistered, aVault, keyId, thumbprint } from '../support/stored-values.ts';

const day = 24 * hour;
const context: AuditContext = { ...aKeyContext(), proofMaxAgeMs: millis(15 * minute), standbyProofMaxAgeMs: millis(day) };
const north = { ...aVault('kv-north'), region: 'northeurope' };
const standbyLink = aLink({ role: 'standby', keyId: keyId('kv-north'), vault: 'kv-north', standbyOf: keyId() });
const formerLink = aLink({ role: 'additional', keyId: keyId('kv-west', 'b'.repeat(32)), thumbprint: thumbprint('B') });

function seen(changes: Partial<LinkSeen> = {}, facts: Partial<KeyFacts> = {}): LinkSeen {
  return {
    link: aLink(),
    candidate: aCandidate(),
    get: { kind: 'ok', value: someFacts(facts) },
    wrap: { kind: 'ok', value: null },
    unwrap: { kind: 'ok', value: true },
    provenAt: noon,
    primaryDenied: false,
    ...changes,
  };
}

function standby(changes: Partial<LinkSeen> = {}, facts: Partial<KeyFacts> = {}): LinkSeen {
  return seen({ link: standbyLink, candidate: aCandidate({ keyId: standbyLink.keyId, vault: north }), ...changes }, facts);
}

function former(changes: Partial<LinkSeen> = {}, facts: Partial<KeyFacts> = {}): LinkSeen {
  const own = { link: formerLink, candidate: aCandidate({ keyId: formerLink.keyId }), wrap: { kind: 'leftOut' } as const };
  return seen({ ...own, ...changes }, { thumbprint: formerLink.thumbprint, ...facts });
}

/** What is told of these links, as `severity code vault`. */
function told(...links: readonly LinkSeen[]): readonly string[] {
  const registered = aRegistered(
    'sql-demo',
    [],
    links.map(({ link }) => link),
  );
  return serverFindings(registered, links, context).map(({ severity, code, vault }) => `${severity} ${code} ${vault ?? ''}`);
}

const revoked = aFault({ class: 'revoked', status: 403, code: 'ForbiddenByRbac', reach: 'identity' });
const denied = { kind: 'fault', fault: revoked } as const;
const throttled = { kind: 'fault', fault: aFault({ class: 'throttled', status: 429 }) } as const;
const early = { kind: 'fault', fault: { ...revoked, reach: 'key', outsideValidity: true } } as const;

describe('findings of an audit', () => {
  it('P1: nothing is wrong with a server whose every link answers', () => {
    expect(told(seen(), standby(), former())).toEqual([]);
  });

  it.each<[string, readonly LinkSeen[], readonly string[]]>([
    ['no standby', [seen()], ['warning NoStandby kv-west']],
    ['a former protector without standby', [seen(), standby(), former()], []],
    ['get denied', [seen({ get: denied }), standby()], ['error GetDenied kv-west']],
    ['wrap denied', [seen({ wrap: denied }), standby()], ['error WrapDenied kv-west']],
    ['unwrap denied', [seen({ unwrap: denied }), standby()], ['error UnwrapDenied kv-west']],
    [
      'all denied',
      [seen({ get: denied, wrap: denied, unwrap: denied }), standby()],
      ['error GetDenied kv-west', 'error WrapDenied kv-west', 'error UnwrapDenied kv-west'],
    ],
    [
      'the vault is down',
      [seen({ get: { kind: 'circuitOpen' }, wrap: { kind: 'circuitOpen' }, unwrap: { kind: 'circuitOpen' } }), standby()],
      ['error KeyUnreachable kv-west'],
    ],
    [
      'a vault that throttles',
      [seen({ get: throttled, wrap: throttled, unwrap: throttled }), standby()],
      ['warning KeyUnreachable kv-west'],
    ],
    [
      'a vault that throttles first and is down then',
      [seen({ get: throttled, unwrap: { kind: 'fault', fault: aFault() } }), standby()],
      ['error KeyUnreachable kv-west'],
    ],
    [
      'a key that is not yet active, told as that alone',
      [seen({ wrap: early }, { notBefore: at(1) }), standby()],
      ['error KeyNotYetActive kv-west'],
    ],
    [
      'a key of which nothing but its refusal is known, by the inner code',
      [seen({ get: denied, wrap: { kind: 'fault', fault: { ...early.fault, code: 'KeyNotYetValid' } } }), standby()],
      ['error GetDenied kv-west', 'error KeyNotYetActive kv-west'],
    ],
    ['a key that was refused as outside of its time', [seen({ wrap: early }), standby()], ['error KeyExpired kv-west']],
    [
      'other material by a canary that is no ciphertext of the key',
      [seen(), standby({ unwrap: { kind: 'fault', fault: aFault({ class: 'invalidRequest', status: 400 }) } })],
      ['error MaterialMismatch kv-north'],
    ],
    [
      'a disabled key, told once',
      [seen({ unwrap: { kind: 'fault', fault: { ...revoked, code: 'KeyDisabled', reach: 'key' } } }, { enabled: false }), standby()],
      ['error KeyDisabled kv-west'],
    ],
    [
      'a former key that is gone',
      [seen(), standby(), former({ unwrap: { kind: 'fault', fault: { ...revoked, class: 'keyGone', reach: 'key' } } })],
      ['error KeyNotFound kv-west', 'error FormerKeyUnusable kv-west'],
    ],
    [
      'a former key whose vault is down',
      [seen(), standby(), former({ unwrap: { kind: 'fault', fault: aFault() } })],
      ['error KeyUnreachable kv-west'],
    ],
    ['an expired protector', [seen({ wrap: { kind: 'leftOut' } }, { expires: at(-1) }), standby()], ['error KeyExpired kv-west']],
    ['an expired former key still unwraps (C2)', [seen(), standby(), former({}, { expires: at(-1) })], ['warning KeyExpired kv-west']],
    ['a former key that may not wrap', [seen(), standby(), former({}, { operations: ['unwrapKey'] })], []],
    ['a standby that may not wrap', [seen(), standby({}, { operations: ['unwrapKey'] })], ['error KeyOperationsMissing kv-north']],
    ['other material by the canary', [seen(), standby({ unwrap: { kind: 'ok', value: false } })], ['error MaterialMismatch kv-north']],
    [
      'other material by the thumbprint, told once',
      [seen(), standby({}, { thumbprint: thumbprint('C') })],
      ['error MaterialMismatch kv-north'],
    ],
    [
      'a standby in the region of its primary',
      [seen(), standby({ candidate: aCandidate({ keyId: standbyLink.keyId, vault: aVault('kv-north') }) })],
      ['error SameRegion kv-north'],
    ],
    ['no purge protection', [seen({}, { recoveryLevel: 'Recoverable+Purgeable' }), standby()], ['error PurgeProtectionOff kv-west']],
    ['a vault in another tenant', [seen({}, { tenant: 'tenant-2' }), standby()], ['error WrongTenant kv-west']],
  ])('P1: %s', (_what, links, expected) => {
    expect(told(...links)).toEqual(expected);
  });

  it.each([
    [90 * day + 1, []],
    [90 * day, ['info']],
    [30 * day + 1, ['info']],
    [30 * day, ['warning']],
    [7 * day + 1, ['warning']],
    [7 * day, ['error']],
    [day, ['error']],
    [1, ['error']],
  ])('P1: an expiry in %i ms is told as %j', (ms, severities) => {
    const links = [seen({}, { expires: at(ms) }), standby()];
    expect(told(...links)).toEqual(severities.map((severity) => `${severity} KeyExpiresSoon kv-west`));
    expect(told(seen(), standby(), former({}, { expires: at(ms) }))).toEqual(severities.map(() => 'info KeyExpiresSoon kv-west'));
  });

  it.each<[string, LinkSeen, readonly string[]]>([
    ['a primary proven 15 minutes ago', seen({ provenAt: at(-15 * minute) }), []],
    ['a primary proven longer ago', seen({ provenAt: at(-15 * minute - 1) }), ['warning ProofStale kv-west']],
    ['a primary that was never proven', seen({ provenAt: null }), ['warning ProofStale kv-west']],
    ['a primary that denies: the denial tells more', seen({ provenAt: null, unwrap: denied }), ['error UnwrapDenied kv-west']],
    ['a standby proven a day ago', standby({ provenAt: at(-day) }), []],
    ['a standby proven longer ago', standby({ provenAt: at(-day - 1) }), ['warning ProofStale kv-north']],
    ['a standby that may not be called', standby({ provenAt: null, primaryDenied: true }), ['info ProofStale kv-north']],
  ])('F3: %s', (_what, one, expected) => {
    const both = one.link.role === 'standby' ? [seen(), one] : [one, standby()];
    expect(told(...both)).toEqual(expected);
  });

  it('K6: wraps go to the protector and its standbys, not to former protectors and theirs', () => {
    const formerStandby: Link = { ...standbyLink, keyId: keyId('kv-north', 'b'.repeat(32)), standbyOf: formerLink.keyId };
    const links = [aLink(), standbyLink, formerLink, formerStandby];
    expect(links.map((link) => wrapsGoTo(links, link))).toEqual([true, true, false, false]);
    expect(wrapsGoTo([formerLink, formerStandby], formerStandby)).toBe(false);
  });
});

describe('whether a primary denies access (F3)', () => {
  it.each([
    ['nothing is known', [], null, false],
    ['a latch', [anUntried(aRef(), { latch: aLatch() })], noon, true],
    ['a denial of its own after its proof', [anAccess(aRef(), { denials: { identity: noon }, provenAt: at(-1) })], null, true],
    ['a denial before its proof', [anAccess(aRef(), { denials: { identity: at(-2001) }, provenAt: noon })], null, false],
    [
      'a denial that by the clock of another instance may be after its proof',
      [anAccess(aRef(), { denials: { identity: at(-2000) }, provenAt: noon })],
      null,
      true,
    ],
    [
      'a denial before a proof from the future, by a clock that jumped',
      [anAccess(aRef(), { denials: { identity: noon }, provenAt: at(minute + 2001) })],
      at(minute + 2001),
      true,
    ],
    [
      'a denial before a proof that only this instance saw',
      [anAccess(aRef(), { denials: { identity: noon }, provenAt: null })],
      at(2001),
      false,
    ],
    [
      'a denial of the whole vault, met at another link',
      [anUntried(aRef({ server: 'other' }), { denials: { vault: noon } })],
      at(-1),
      true,
    ],
    [
      'a denial at another key',
      [anUntried(aRef({ server: 'other', keyId: keyId('kv-west', 'c'.repeat(32)) }), { denials: { key: noon } })],
      at(-1),
      false,
    ],
  ] as const)('%s', (_what, links, provenAt, expected) => {
    expect(deniesAccess(aPicture(links), aRef(), provenAt, { now: at(minute), clockSkewMs: millis(2000) })).toBe(expected);
  });
});

describe('the room of a vault (B1)', () => {
  it.each([
    [0, []],
    [899, []],
    [900, ['warning']],
    [1000, ['warning']],
    [1001, ['error']],
  ])('%i of 1000 points', (used, severities) => {
    const found = roomFindings('kv-west', { used, limit: 1000 });
    expect(found.map(({ severity }) => severity)).toEqual(severities);
    for (const one of found) expect(one).toMatchObject({ code: 'BudgetTight', vault: 'kv-west', server: null, keyId: null });
  });
});

describe('permissions beyond need', () => {
  const roles = 'Microsoft.KeyVault/vaults';
  it.each<[string, readonly string[], string | undefined]>([
    ['none', [], undefined],
    ['an access policy of just these', ['keys/get', 'keys/wrapKey', 'keys/unwrapKey'], undefined],
    [
      'the role Key Vault Crypto Service Encryption User',
      [`${roles}/keys/read`, `${roles}/keys/wrap/action`, `${roles}/keys/unwrap/action`, 'Microsoft.EventGrid/eventSubscriptions/write'],
      undefined,
    ],
    ['the name of a permission in other letters', ['Keys/Get', 'keys/WRAPKEY'], undefined],
    ['reading the control plane', [`${roles}/read`, 'Microsoft.Authorization/roleAssignments/read'], undefined],
    ['a key permission too many', ['keys/get', 'keys/delete'], 'keys/delete'],
    ['secrets', ['secrets/get'], 'secrets/get'],
    ['all key permissions', [`${roles}/keys/*`], `${roles}/keys/*`],
    ['everything', ['*'], '*'],
    ['secrets read by a role', [`${roles}/secrets/read`], `${roles}/secrets/read`],
    ['the right to give rights', ['Microsoft.Authorization/roleAssignments/write'], 'Microsoft.Authorization/roleAssignments/write'],
    ['more than can be named', ['keys/a', 'keys/b', 'keys/c', 'keys/d', 'keys/e', 'keys/f', 'keys/g'], 'keys/e and 2 more'],
  ])('%s', (_what, granted, excess) => {
    const found = excessFindings('kv-west', 'sql-a', granted);
    expect(found).toHaveLength(excess === undefined ? 0 : 1);
    if (excess !== undefined)
      expect(found[0]).toMatchObject({ code: 'ExcessPermission', server: 'sql-a', detail: expect.stringContaining(excess) as string });
  });
});

describe('slots', () => {
  it.each([
    ['2026-11-22T06:00:00.000Z', '2026-11-22T06:00:00Z', '2026-11-22T06:00:00Z'],
    ['2026-11-22T11:59:59.999Z', '2026-11-22T06:00:00Z', '2026-11-22T11:59:59Z'],
    ['2026-11-22T00:00:00.001Z', '2026-11-22T00:00:00Z', '2026-11-22T00:00:00Z'],
  ])('of %s: by the timer %s, by hand %s', (now, timer, hand) => {
    expect(slotAt(instant(Date.parse(now)))).toBe(timer);
    expect(slotByHand(instant(Date.parse(now)))).toBe(hand);
    expect(isSlot(timer) && isSlot(hand)).toBe(true);
  });

  it.each(['', 'now', '2026-11-22T06:00:00.000Z', '2026-11-22T06:00:00+00:00', '2026-13-01T00:00:00Z'])('`%s` is none', (text) => {
    expect(isSlot(text)).toBe(false);
  });
});
