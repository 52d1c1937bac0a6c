import { createHash } from 'node:crypto';
import { linkKey, untriedLink } from '../../../src/domain/access.ts';
import type { LinkAccess, LinkRef } from '../../../src/domain/access.ts';
import type { Link, RegisteredServer } from '../../../src/domain/server.ts';
import type { Instant } from '../../../src/domain/time.ts';
import { dekFill, dekMark, keyIdOf, thumbprintOf, vaultNamed, vaultNames, wrapped } from './vaults.ts';
import type { KeyName, VaultName } from './vaults.ts';

/** One group of a server: a key, its primary's vault and its standbys' vaults in order. */
export interface GroupPlan {
  readonly key: KeyName;
  readonly role: 'protector' | 'additional';
  readonly vaults: readonly VaultName[];
}

interface ServerPlan {
  readonly name: string;
  readonly identity: string | null;
  readonly groups: readonly GroupPlan[];
}

/**
 * The fleet as it begins; operators change it as they go.
 * Small, but with every kind of neighbour: `alpha` and `beta` share key and identity, `gamma` has the same key by another identity, `delta`
 * the same identity with another key, and a former protector whose standby lies in the protector's vault.
 */
export const plans: readonly ServerPlan[] = [
  { name: 'alpha', identity: null, groups: [{ key: 'k1', role: 'protector', vaults: ['west', 'north', 'south', 'east'] }] },
  { name: 'beta', identity: null, groups: [{ key: 'k1', role: 'protector', vaults: ['west', 'north'] }] },
  { name: 'gamma', identity: 'id-g', groups: [{ key: 'k1', role: 'protector', vaults: ['west', 'north'] }] },
  {
    name: 'delta',
    identity: null,
    groups: [
      { key: 'k2', role: 'protector', vaults: ['west', 'north'] },
      { key: 'k3', role: 'additional', vaults: ['north', 'west'] },
    ],
  },
];

export const identities = [null, 'id-g'] as const;
export const database = 'orders';

export function principalOf(server: string): string {
  return `host-${server}`;
}

/** The DEK of a server; no two operations need different ones. */
export function dekOf(server: string): Uint8Array {
  const bytes = new Uint8Array(32).fill(dekFill);
  bytes[0] = dekMark;
  bytes[1] = plans.findIndex(({ name }) => name === server);
  return bytes;
}

const canaryPlain = new Uint8Array(32).fill(3);
const canarySha = createHash('sha256').update(canaryPlain).digest('base64url');

function linksOf(group: GroupPlan, at: Instant): Link[] {
  const [home] = group.vaults;
  return group.vaults.map((vault, place) => ({
    keyId: keyIdOf(vault, group.key),
    role: place === 0 ? group.role : 'standby',
    vault,
    keyType: 'RSA-HSM',
    keySize: 2048,
    thumbprint: thumbprintOf(group.key),
    standbyOf: place === 0 ? null : keyIdOf(home!, group.key),
    rank: Math.max(0, place - 1),
    canary: { wrapped: Buffer.from(wrapped(group.key, canaryPlain)).toString('base64url'), sha256: canarySha, algorithm: 'RSA-OAEP-256' },
    protectorFrom: at,
    protectorTo: null,
    linkedAt: at,
  }));
}

export function registeredServers(at: Instant): readonly RegisteredServer[] {
  return plans.map(({ name, identity, groups }) => ({
    server: {
      name,
      engine: 'sql',
      region: 'westeurope',
      principalId: principalOf(name),
      identityClientId: identity,
      defaultTier: 'GeneralPurpose',
      origin: null,
      state: 'online',
      since: at,
      clock: null,
    },
    links: groups.flatMap((group) => linksOf(group, at)),
    databases: new Map([[database, 'GeneralPurpose' as const]]),
    incarnation: 'incarnation-1',
    revision: 1,
  }));
}

export function refOf(registered: RegisteredServer, link: Link): LinkRef {
  return { server: registered.server.name, keyId: link.keyId, vault: link.vault, identity: registered.server.identityClientId };
}

/** What accepting the keys (K4) left in the store: a proof at every link. */
export function provenLinks(servers: readonly RegisteredServer[], at: Instant): [string, LinkAccess][] {
  return servers.flatMap((registered) =>
    registered.links.map((link): [string, LinkAccess] => {
      const ref = refOf(registered, link);
      return [linkKey(ref), { ...untriedLink(ref), provenAt: at }];
    }),
  );
}

export const registeredVaults = vaultNames.map(vaultNamed);
