import { describe, expect, test } from 'vitest';
import type { Finding } from '../../src/domain/finding.ts';
import { engines } from '../../src/domain/server.ts';
import { instant } from '../../src/domain/time.ts';
import {
  acceptable,
  candidateFindings,
  factFindings,
  findingOf,
  placeFindings,
  standbyFindings,
  standbyMissing,
  type Candidate,
  type KeyContext,
} from '../../src/policy/key-rules.ts';
import type { KeyFacts, Thumbprint } from '../../src/domain/key.ts';
import { aCandidate, aKeyContext, at, noon, someFacts } from '../support/builders.ts';
import { aVault, keyId, thumbprint } from '../support/stored-values.ts';

/** Code and severity of each finding, in the order told. */
function told(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ code, severity }) => (severity === 'error' ? code : `${code} (${severity})`));
}

function facts(
  changes: Partial<KeyFacts>,
  use: 'protector' | 'additional' = 'protector',
  context: Partial<KeyContext> = {},
): readonly string[] {
  return told(factFindings(aCandidate(), someFacts(changes), aKeyContext(context), use));
}

test('K1–K4: a sound key in a sound vault draws no finding', () => {
  expect(told(candidateFindings(aCandidate()))).toEqual([]);
  expect(facts({})).toEqual([]);
  expect(facts({}, 'additional')).toEqual([]);
  expect(told(placeFindings(aCandidate(), { serverRegion: 'westeurope' }))).toEqual([]);
});

describe('K1, K2: what can be said without asking the vault', () => {
  test('VaultNotRegistered', () => {
    const found = candidateFindings(aCandidate({ vault: undefined }));
    expect(told(found)).toEqual(['VaultNotRegistered']);
    expect(found[0]).toMatchObject({ server: 'sql-demo', keyId: keyId(), vault: null });
  });

  test.each([
    ['v'.repeat(24), 70, []],
    ['v'.repeat(24), 71, ['NameTooLong']],
    ['v'.repeat(3), 91, []],
    ['v'.repeat(3), 92, ['NameTooLong']],
  ])('NameTooLong: vault %s and a key name of %i letters', (vault, length, codes) => {
    expect(told(candidateFindings(aCandidate({ vault: aVault(vault), keyName: 'k'.repeat(length) })))).toEqual(codes);
  });

  test('K4: both at once', () => {
    expect(told(candidateFindings(aCandidate({ vault: undefined, keyName: 'k'.repeat(95) })))).toEqual([
      'VaultNotRegistered',
      'NameTooLong',
    ]);
  });
});

describe('K2: type and size', () => {
  const allowed = { sql: [2048, 3072], managedInstance: [2048, 3072], synapse: [2048, 3072], mysql: [2048], postgresql: [2048] };

  test.each(engines)('%s', (engine) => {
    for (const keyType of ['RSA', 'RSA-HSM']) {
      for (const keySize of [1024, 2047, 2048, 3072, 4096]) {
        const expected = allowed[engine].includes(keySize) ? [] : ['KeySizeUnsupported'];
        expect(facts({ keyType, keySize }, 'protector', { engine })).toEqual(expected);
        expect(facts({ keyType, keySize }, 'additional', { engine })).toEqual(expected);
      }
    }
  });

  test.each(['EC', 'EC-HSM', 'oct', 'oct-HSM', 'rsa', ''])('a key of type %j is no RSA key, and of no size', (keyType) => {
    expect(facts({ keyType, keySize: 0, thumbprint: undefined, publicKey: undefined })).toEqual(['KeyTypeUnsupported']);
  });
});

describe('K2, C2: validity', () => {
  test.each<[string, Partial<KeyFacts>, readonly string[], readonly string[]]>([
    ['disabled', { enabled: false }, ['KeyDisabled'], ['KeyDisabled']],
    ['active since now', { notBefore: noon }, [], []],
    ['active in a millisecond', { notBefore: at(1) }, ['KeyNotYetActive'], ['KeyNotYetActive']],
    ['active since long', { notBefore: 0 }, [], []],
    ['expires in a millisecond', { expires: at(1) }, [], []],
    ['expires now', { expires: noon }, ['KeyExpired'], ['KeyExpired (warning)']],
    ['expired long ago', { expires: 0 }, ['KeyExpired'], ['KeyExpired (warning)']],
    ['may not wrap', { operations: ['unwrapKey', 'verify'] }, ['KeyOperationsMissing'], []],
    ['may not unwrap', { operations: ['wrapKey'] }, ['KeyOperationsMissing'], ['KeyOperationsMissing']],
    ['may nothing', { operations: [] }, ['KeyOperationsMissing'], ['KeyOperationsMissing']],
  ])('a key that is or %s: as protector, as additional', (_name, changes, asProtector, asAdditional) => {
    expect(facts(changes)).toEqual(asProtector);
    expect(facts(changes, 'additional')).toEqual(asAdditional);
  });

  test('the operations that are missing are named', () => {
    const [finding] = factFindings(aCandidate(), someFacts({ operations: [] }), aKeyContext(), 'protector');
    expect(finding).toMatchObject({
      detail: 'the key does not allow wrapKey and unwrapKey',
      action: expect.stringContaining('wrapKey and unwrapKey') as string,
    });
  });
});

describe('K3: soft delete, purge protection, tenant', () => {
  test.each([
    ['Purgeable', ['SoftDeleteOff', 'PurgeProtectionOff']],
    ['', ['SoftDeleteOff', 'PurgeProtectionOff']],
    ['Recoverable+Purgeable', ['PurgeProtectionOff']],
    ['CustomizedRecoverable+Purgeable', ['PurgeProtectionOff']],
    ['Recoverable', []],
    ['CustomizedRecoverable', []],
    ['Recoverable+ProtectedSubscription', []],
    ['CustomizedRecoverable+ProtectedSubscription', []],
  ])('recovery level %j', (recoveryLevel, codes) => {
    expect(facts({ recoveryLevel })).toEqual(codes);
  });

  test.each([
    ['tenant-1', []],
    ['TENANT-1', []],
    ['tenant-2', ['WrongTenant']],
    // A vault whose tenant is not known may be anybody's.
    [null, ['WrongTenant']],
  ])('tenant %s', (tenant, codes) => {
    expect(facts({ tenant })).toEqual(codes);
  });
});

describe('K1: regions', () => {
  test.each([
    [null, []],
    ['westeurope', []],
    ['West Europe', []],
    ['northeurope', ['VaultNotRegistered']],
  ])('the vault says that it lies in %s', (vaultRegion, codes) => {
    expect(facts({ vaultRegion })).toEqual(codes);
  });

  test('a vault that is not registered has no region to contradict', () => {
    const found = factFindings(aCandidate({ vault: undefined }), someFacts({ vaultRegion: 'northeurope' }), aKeyContext(), 'protector');
    expect(told(found)).toEqual([]);
  });

  test.each([
    ['westeurope', []],
    ['West Europe', []],
    ['westeurope2', ['ProtectorRemote (warning)']],
    ['eastus', ['ProtectorRemote (warning)']],
  ])('a protector in westeurope for a server in %s', (serverRegion, codes) => {
    expect(told(placeFindings(aCandidate(), { serverRegion }))).toEqual(codes);
    expect(told(placeFindings(aCandidate({ vault: undefined }), { serverRegion }))).toEqual([]);
  });
});

test('K1: a protector without a standby is allowed, and a warning says what that means', () => {
  expect(told(standbyMissing(aCandidate(), 0))).toEqual(['NoStandby (warning)']);
  expect(acceptable(standbyMissing(aCandidate(), 0))).toBe(true);
  expect(standbyMissing(aCandidate(), 1)).toEqual([]);
});

describe('K1: a standby beside its primary', () => {
  const primary = { ...aCandidate(), thumbprint: thumbprint() };

  function standby(
    vault: Candidate['vault'],
    print: Thumbprint | undefined = thumbprint(),
  ): Candidate & { readonly thumbprint: Thumbprint | undefined } {
    return { ...aCandidate({ keyId: keyId('kv-north'), vault }), thumbprint: print };
  }
  const north = { ...aVault('kv-north'), region: 'northeurope' };

  test.each<[string, ReturnType<typeof standby>, readonly string[]]>([
    ['another vault and region, same material', standby(north), []],
    ['other material', standby(north, thumbprint('B')), ['MaterialMismatch']],
    ['material unknown: another finding says why', { ...standby(north), thumbprint: undefined }, []],
    ['the same vault', standby(aVault()), ['SameVault']],
    ['another vault in the same region', standby(aVault('kv-north')), ['SameRegion']],
    ['the same region, spelt otherwise', standby({ ...north, region: 'West Europe' }), ['SameRegion']],
    ['another geography', standby({ ...north, geography: 'US' }), ['OtherGeography']],
    ['the same geography, spelt otherwise', standby({ ...north, geography: 'europe' }), []],
    ['another subscription: a warning', standby({ ...north, subscriptionId: 'other' }), ['OtherSubscription (warning)']],
    ['not registered', standby(undefined), []],
    [
      'K4: all at once',
      standby({ ...north, region: 'westeurope', geography: 'US', subscriptionId: 'other' }, thumbprint('B')),
      ['MaterialMismatch', 'SameRegion', 'OtherGeography', 'OtherSubscription (warning)'],
    ],
  ])('%s', (_name, given, codes) => {
    const found = standbyFindings({ primary, standby: given });
    expect(told(found)).toEqual(codes);
    for (const finding of found) expect(finding).toMatchObject({ keyId: given.keyId, vault: given.vault?.name ?? null });
  });

  test('a primary whose vault is not registered, or whose material is unknown, is compared with nothing', () => {
    const unknown = { ...primary, vault: undefined, thumbprint: undefined };
    expect(told(standbyFindings({ primary: unknown, standby: standby(north) }))).toEqual([]);
    expect(told(standbyFindings({ primary: unknown, standby: standby(undefined) }))).toEqual([]);
  });
});

describe('K4: one answer names everything that is wrong', () => {
  test('with a key', () => {
    const wrong = someFacts({
      keySize: 1024,
      enabled: false,
      notBefore: instant(noon + 1),
      expires: noon,
      operations: [],
      recoveryLevel: 'Purgeable',
      tenant: 'tenant-2',
      vaultRegion: 'mars',
    });
    const found = factFindings(aCandidate(), wrong, aKeyContext(), 'protector');
    expect(told(found)).toEqual([
      'KeySizeUnsupported',
      'KeyDisabled',
      'KeyNotYetActive',
      'KeyExpired',
      'KeyOperationsMissing',
      'SoftDeleteOff',
      'PurgeProtectionOff',
      'WrongTenant',
      'VaultNotRegistered',
    ]);
    for (const finding of found) {
      expect(finding).toMatchObject({ server: 'sql-demo', keyId: keyId(), vault: 'kv-west' });
      expect(finding.action).toMatch(/^[A-Z][^.]*\.$/);
      expect(finding.detail).not.toBe('');
    }
  });

  test('findingOf is an error about one link', () => {
    expect(findingOf(aCandidate({ vault: undefined }), 'KeyUnreachable', 'no answer', 'Wait.')).toEqual({
      code: 'KeyUnreachable',
      severity: 'error',
      server: 'sql-demo',
      keyId: keyId(),
      vault: null,
      detail: 'no answer',
      action: 'Wait.',
    });
  });

  test('warnings and infos forbid nothing, one error does', () => {
    const finding = (severity: Finding['severity']): Finding => ({ ...findingOf(aCandidate(), 'KeyExpired', '', ''), severity });
    expect(acceptable([])).toBe(true);
    expect(acceptable([finding('warning'), finding('info')])).toBe(true);
    expect(acceptable([finding('warning'), finding('error'), finding('info')])).toBe(false);
  });
});
