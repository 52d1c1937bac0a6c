import { describe, expect, test } from 'vitest';
import { faultClasses, isDenial, type FaultClass } from '../../src/domain/fault.ts';
import { consequenceOf, leadsOn, type Consequence } from '../../src/policy/verdict.ts';
import { aFault } from '../support/builders.ts';

const operations = ['wrap', 'unwrap', 'rewrap', 'get'] as const;

/** Design section 4, "what the caller hears", written down once more. */
const heard: Readonly<Record<FaultClass, Omit<Consequence, 'outage'>>> = {
  outage: { code: 'VaultUnavailable', retryable: true },
  ambiguous: { code: 'VaultUnavailable', retryable: true },
  revoked: { code: 'KeyAccessDenied', retryable: false },
  keyGone: { code: 'KeyAccessDenied', retryable: false },
  vaultGone: { code: 'KeyAccessDenied', retryable: false },
  throttled: { code: 'Throttled', retryable: true },
  identityOutage: { code: 'IdentityUnavailable', retryable: true },
  invalidRequest: { code: 'Internal', retryable: false },
};

describe('F1, F2: each class has one consequence', () => {
  test.each(faultClasses)('%s', (faultClass) => {
    for (const operation of operations) {
      const fault = aFault({ class: faultClass, status: 418 });
      expect(consequenceOf(fault, operation)).toEqual({ ...heard[faultClass], outage: faultClass === 'outage' });
    }
  });

  test('F3: the outage is the only class that may lead to failover', () => {
    const failing = faultClasses.filter((faultClass) => consequenceOf(aFault({ class: faultClass }), 'unwrap').outage);
    expect(failing).toEqual(['outage']);
  });

  test('F4: exactly revoked, keyGone and vaultGone are denials', () => {
    expect(faultClasses.filter(isDenial)).toEqual(['revoked', 'keyGone', 'vaultGone']);
  });
});

describe('T33: what a standby that failed means for the next one, while the primary is down', () => {
  test('it is asked after what says nothing of the key', () => {
    const leading = faultClasses.filter((faultClass) =>
      leadsOn(aFault({ class: faultClass, outsideValidity: false, mayHideDenial: false })),
    );
    expect(leading.toSorted()).toEqual(['ambiguous', 'outage', 'throttled']);
    // C2: a key that has expired there is no denial of access.
    expect(leadsOn(aFault({ class: 'revoked', outsideValidity: true }))).toBe(true);
  });

  test('F1: not after what may hide a denial', () => {
    expect(leadsOn(aFault({ class: 'ambiguous', mayHideDenial: true }))).toBe(false);
  });
});

describe("section 4: a vault's 400 to unwrap is about the ciphertext, any other invalid request is the broker's fault", () => {
  test.each([
    ['unwrap', 400, 'CiphertextRejected'],
    ['rewrap', 400, 'CiphertextRejected'],
    ['wrap', 400, 'Internal'],
    ['get', 400, 'Internal'],
    ['unwrap', 405, 'Internal'],
    ['unwrap', 401, 'Internal'],
    ['unwrap', null, 'Internal'],
  ] as const)('%s answered %s: %s', (operation, status, code) => {
    expect(consequenceOf(aFault({ class: 'invalidRequest', status }), operation)).toEqual({ outage: false, code, retryable: false });
  });

  test.each(faultClasses.filter((faultClass) => faultClass !== 'invalidRequest'))(
    'a 400 of class %s says nothing of the ciphertext',
    (faultClass) => {
      expect(consequenceOf(aFault({ class: faultClass, status: 400 }), 'unwrap').code).toBe(heard[faultClass].code);
    },
  );
});
