import { describe, expect, test } from 'vitest';
import { countDatabases, groupByThumbprint, groupOf, protectorGroup } from '../../src/domain/server.ts';
import { aLink, aRegistered, keyId, thumbprint } from '../support/stored-values.ts';

const protector = aLink();
const north = aLink({ keyId: keyId('kv-north'), vault: 'kv-north', role: 'standby', standbyOf: protector.keyId, rank: 1 });
const south = aLink({ keyId: keyId('kv-south'), vault: 'kv-south', role: 'standby', standbyOf: protector.keyId, rank: 0 });
const former = aLink({ keyId: keyId('kv-old'), vault: 'kv-old', role: 'additional', thumbprint: thumbprint('B') });
const formersStandby = aLink({
  ...north,
  keyId: keyId('kv-older'),
  vault: 'kv-older',
  standbyOf: former.keyId,
  thumbprint: thumbprint('B'),
});
const registered = aRegistered('sql-demo', [], [formersStandby, former, north, south, protector]);

describe('K6: groups', () => {
  test("the protector's group, its standbys in the order in which they are tried", () => {
    expect(protectorGroup(registered)).toEqual({ primary: protector, standbys: [south, north] });
    expect(groupOf(registered, former)).toEqual({ primary: former, standbys: [formersStandby] });
  });

  test('a server without protector has no such group', () => {
    expect(protectorGroup(aRegistered('sql-demo', [], [former]))).toBeUndefined();
  });

  test('unwrap goes to the group whose thumbprint is named', () => {
    expect(groupByThumbprint(registered, protector.thumbprint)?.primary).toBe(protector);
    expect(groupByThumbprint(registered, former.thumbprint)).toEqual({ primary: former, standbys: [formersStandby] });
    expect(groupByThumbprint(registered, thumbprint('C'))).toBeUndefined();
  });

  test('where two primaries have one material, the protector goes first', () => {
    const twin = aLink({ keyId: keyId('kv-twin'), vault: 'kv-twin', role: 'additional' });
    expect(groupByThumbprint(aRegistered('sql-demo', [], [twin, protector]), protector.thumbprint)?.primary).toBe(protector);
    expect(groupByThumbprint(aRegistered('sql-demo', [], [twin]), protector.thumbprint)?.primary).toBe(twin);
  });

  test('a standby alone is no group', () => {
    expect(groupByThumbprint(aRegistered('sql-demo', [], [north]), protector.thumbprint)).toBeUndefined();
  });
});

test('B1: databases count by tier', () => {
  expect(countDatabases(new Map())).toEqual({ GeneralPurpose: 0, BusinessCritical: 0 });
  const { databases } = aRegistered('sql-demo', [
    ['orders', 'GeneralPurpose'],
    ['people', 'BusinessCritical'],
    ['stock', 'GeneralPurpose'],
  ]);
  expect(countDatabases(databases)).toEqual({ GeneralPurpose: 2, BusinessCritical: 1 });
});
