import { describe, expect, test } from 'vitest';
import type { Access } from '../../src/broker/access.ts';
import type { Outages } from '../../src/broker/outages.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { createProveGroup } from '../../src/broker/prove-group.ts';
import type { Finding } from '../../src/domain/finding.ts';
import type { KeyId } from '../../src/domain/key.ts';
import type { Link } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import type { AdmissionRequest } from '../../src/ports/admission.ts';
import { aFault, aRegisteredWith, gateRules } from '../support/builders.ts';
import { aLink, aVault, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const [west, north, south] = ['kv-west', 'kv-north', 'kv-south'].map((vault) => keyId(vault)) as [KeyId, KeyId, KeyId];

/** The findings on the shape of the group (K1); its vaults are all down, so that the others say nothing. */
async function shapeFindings(links: readonly Link[], primary: KeyId, standbyKeyIds: readonly KeyId[]): Promise<readonly Finding[]> {
  const clock = virtualClock();
  const admitted: unknown[] = [];
  const ended: unknown[] = [];
  const parts = {
    clock,
    registry: { readVaults: () => Promise.resolve(['kv-west', 'kv-north', 'kv-south'].map((name) => aVault(name))) },
    admission: {
      admit: ({ vault, key, points }: AdmissionRequest) => void admitted.push({ vault, key, points }),
      ended: (call: unknown) => void ended.push(call),
    },
    circuits: { state: () => ({ state: 'closed' }), through: (_vault: string, _key: string, call: () => unknown) => call() },
    vaults: { get: () => Promise.resolve({ ok: false, fault: aFault(), sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1) }) },
    rules: { attemptMs: millis(2000), maxStandbys: 4, tenant: 'tenant-1', association: { points: { GeneralPurpose: 2 } }, gate: gateRules },
  } as unknown as Parts;
  const access = { known: () => undefined, picture: () => Promise.resolve({ links: [] }), provenAt: () => null } as unknown as Access;
  const outages = { met: () => Promise.resolve() } as unknown as Outages;
  const prove = createProveGroup({ parts, access, outages });
  const { findings } = await prove({
    registered: { ...aRegisteredWith(), links },
    keyId: primary,
    standbyKeyIds,
    use: 'protector',
    primaryFirst: false,
  });
  // B2: the budget is told of the end of each call.
  expect(ended).toEqual(admitted);
  return findings.filter(({ code }) => code !== 'KeyUnreachable');
}

async function chained(links: readonly Link[], primary: KeyId, standbyKeyIds: readonly KeyId[]): Promise<readonly (KeyId | null)[]> {
  const findings = await shapeFindings(links, primary, standbyKeyIds);
  return findings.filter(({ code }) => code === 'ChainedStandby').map((finding) => finding.keyId);
}

test('K1: that a protector is named without a standby is told, as a warning', async () => {
  const told = async (standbys: readonly KeyId[]) =>
    (await shapeFindings([], west, standbys)).filter(({ code }) => code === 'NoStandby').map(({ severity, keyId: of }) => [severity, of]);
  expect(await told([])).toEqual([['warning', west]]);
  expect(await told([north])).toEqual([]);
});

describe('K1: a standby has no standby', () => {
  const protector = aLink();
  const standby = (id: KeyId, of: KeyId): Link => aLink({ keyId: id, role: 'standby', standbyOf: of });

  test.each<[string, readonly Link[], KeyId, readonly KeyId[], readonly KeyId[]]>([
    ['the first protector with its standbys', [], west, [north, south], []],
    ['the key is its own standby', [], west, [west], [west]],
    ['a standby that has a standby elsewhere', [protector, standby(north, west)], south, [west], [west]],
    ['the protector and its standby change places', [protector, standby(north, west)], north, [west], []],
    [
      'they change places, and another standby of the former is named too',
      [protector, standby(north, west), standby(south, west)],
      north,
      [west, south],
      [],
    ],
    [
      'they change places, and the other standby of the former is not named',
      [protector, standby(north, west), standby(south, west)],
      north,
      [west],
      [west],
    ],
    ['a former protector whose only standby is named beside it', [protector, standby(north, west)], south, [west, north], []],
  ])('%s', async (_name, links, primary, ...[standbys, refused]) => {
    expect(await chained(links, primary, standbys)).toEqual(refused);
  });
});
