import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DatabaseCounts } from '../../src/domain/server.ts';
import { associationPoints, carryingVaults, fitsAssociation, type AssociationRules } from '../../src/policy/association.ts';
import { aLink, aRegistered, keyId, thumbprint } from '../support/stored-values.ts';

const rules: AssociationRules = { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 };

function counts(GeneralPurpose: number, BusinessCritical: number): DatabaseCounts {
  return { GeneralPurpose, BusinessCritical };
}

describe('B1: 2·GP + 5·BC ≤ 1000 points a vault', () => {
  test.each([
    [0, 0, 0, true],
    [500, 0, 1000, true],
    [501, 0, 1002, false],
    [0, 200, 1000, true],
    [0, 201, 1005, false],
    [250, 100, 1000, true],
    [250, 101, 1005, false],
    [251, 100, 1002, false],
    [497, 1, 999, true],
    [498, 1, 1001, false],
  ])('%i GP and %i BC are %i points: %s', (gp, bc, points, fits) => {
    expect(associationPoints(counts(gp, bc), rules)).toBe(points);
    expect(fitsAssociation(counts(gp, bc), rules)).toBe(fits);
  });

  test('points of servers add up: nobody gains by splitting', () => {
    const some = fc.nat({ max: 300 });
    fc.assert(
      fc.property(some, some, some, some, (a, b, c, d) => {
        expect(associationPoints(counts(a + c, b + d), rules)).toBe(
          associationPoints(counts(a, b), rules) + associationPoints(counts(c, d), rules),
        );
      }),
    );
  });
});

describe("B1: a server counts in its protector's vault and in every standby's vault, once each", () => {
  const protector = aLink();
  const standby = aLink({ keyId: keyId('kv-north'), vault: 'kv-north', role: 'standby', standbyOf: protector.keyId });
  const second = aLink({ keyId: keyId('kv-south'), vault: 'kv-south', role: 'standby', standbyOf: protector.keyId, rank: 1 });
  const former = aLink({ keyId: keyId('kv-old'), vault: 'kv-old', role: 'additional', thumbprint: thumbprint('B') });
  const formersStandby = aLink({ keyId: keyId('kv-older'), vault: 'kv-older', role: 'standby', standbyOf: former.keyId });

  test.each([
    ['nothing linked', [], []],
    ['additional keys only', [former, formersStandby], []],
    ['a protector alone', [protector], ['kv-west']],
    ['a protector with standbys, in any order', [second, standby, protector], ['kv-west', 'kv-south', 'kv-north']],
    ['former protectors carry none', [protector, standby, former, formersStandby], ['kv-west', 'kv-north']],
    ['a vault with two standbys counts once', [protector, standby, { ...second, vault: 'kv-north' }], ['kv-west', 'kv-north']],
  ])('%s', (_name, links, vaults) => {
    expect(carryingVaults(aRegistered('sql-demo', [], links))).toEqual(vaults);
  });
});
