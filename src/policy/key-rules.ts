import type { Finding, FindingCode, Severity } from '../domain/finding.ts';
import type { KeyFacts, KeyId, Thumbprint } from '../domain/key.ts';
import type { Engine } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';

/*
 * K1–K3: what a key must be to become a link. Facts in, findings out; an empty list means yes. All rules are asked, so that one answer
 * names everything that is wrong (K4).
 */

/** What is being linked, before its vault was asked. */
export interface Candidate {
  readonly server: string;
  readonly keyId: KeyId;
  readonly keyName: string;
  /** The registered vault whose URI the key id starts with; undefined if there is none. */
  readonly vault: Vault | undefined;
}

/** What the rules need to know beside the key. */
export interface KeyContext {
  readonly engine: Engine;
  readonly serverRegion: string;
  /** The broker's own tenant (K3). */
  readonly tenant: string;
  readonly now: Instant;
}

const longestName = 94;

/** Bits allowed by engine (K2). */
const sizes: Readonly<Record<Engine, readonly number[]>> = {
  sql: [2048, 3072],
  managedInstance: [2048, 3072],
  synapse: [2048, 3072],
  mysql: [2048],
  postgresql: [2048],
};

type Told = readonly [code: FindingCode, detail: string, action: string, severity?: Severity];

function findings(candidate: Pick<Candidate, 'server' | 'keyId' | 'vault'>, told: readonly (Told | false)[]): Finding[] {
  return told
    .filter((one) => one !== false)
    .map(([code, detail, action, severity = 'error']) => ({ ...findingOf(candidate, code, detail, action), severity }));
}

/** One finding about one link: an error. */
export function findingOf(
  candidate: Pick<Candidate, 'server' | 'keyId' | 'vault'>,
  code: FindingCode,
  detail: string,
  action: string,
): Finding {
  return {
    code,
    severity: 'error',
    server: candidate.server,
    keyId: candidate.keyId,
    vault: candidate.vault?.name ?? null,
    detail,
    action,
  };
}

/** K1, K2: what can be said of a key without asking its vault. */
export function candidateFindings(candidate: Candidate): readonly Finding[] {
  const { vault, keyName } = candidate;
  const length = (vault?.name.length ?? 0) + keyName.length;
  return findings(candidate, [
    vault === undefined && [
      'VaultNotRegistered',
      `no vault is registered under the address of ${candidate.keyId}`,
      'Register the vault first, under its own address.',
    ],
    length > longestName && [
      'NameTooLong',
      `vault name and key name have ${length} letters together, at most ${longestName} are allowed`,
      'Use a key with a shorter name.',
    ],
  ]);
}

/** K2, K3 and the vault's region (K1): what the vault says of the key. `additional`: a key that only unwraps may be past its expiry (C2) and need not wrap. */
export function factFindings(
  candidate: Candidate,
  facts: KeyFacts,
  context: KeyContext,
  use: 'protector' | 'additional',
): readonly Finding[] {
  return [
    ...materialFindings(candidate, facts, context),
    ...validityFindings(candidate, facts, context, use),
    ...vaultFindings(candidate, facts, context),
  ];
}

function materialFindings(candidate: Candidate, facts: KeyFacts, context: KeyContext): readonly Finding[] {
  const rsa = facts.keyType === 'RSA' || facts.keyType === 'RSA-HSM';
  const bits = sizes[context.engine];
  return findings(candidate, [
    !rsa && ['KeyTypeUnsupported', `the key is of type ${facts.keyType}`, 'Use a key of type RSA or RSA-HSM.'],
    rsa &&
      !bits.includes(facts.keySize) && [
        'KeySizeUnsupported',
        `the key has ${facts.keySize} bits`,
        `Use a key of ${bits.join(' or ')} bits for ${context.engine}.`,
      ],
  ]);
}

function validityFindings(candidate: Candidate, facts: KeyFacts, { now }: KeyContext, use: 'protector' | 'additional'): readonly Finding[] {
  const needed = use === 'protector' ? ['wrapKey', 'unwrapKey'] : ['unwrapKey'];
  const missing = needed.filter((operation) => !facts.operations.includes(operation));
  const expired = facts.expires !== null && facts.expires <= now;
  return findings(candidate, [
    !facts.enabled && ['KeyDisabled', 'the key is disabled', 'Enable the key version in its vault.'],
    facts.notBefore !== null &&
      facts.notBefore > now && [
        'KeyNotYetActive',
        'the activation date of the key lies in the future',
        'Wait for the activation date or move it to the past.',
      ],
    expired && [
      'KeyExpired',
      'the key has expired',
      'Extend the expiry of the key version, or use a newer key.',
      use === 'protector' ? 'error' : 'warning',
    ],
    missing.length > 0 && [
      'KeyOperationsMissing',
      `the key does not allow ${missing.join(' and ')}`,
      `Add ${missing.join(' and ')} to the key's permitted operations.`,
    ],
  ]);
}

function vaultFindings(candidate: Candidate, facts: KeyFacts, context: KeyContext): readonly Finding[] {
  const { recoveryLevel, tenant, vaultRegion } = facts;
  const region = candidate.vault?.region;
  // Facts 7.1: `Purgeable` alone means that soft delete is off, `Purgeable` anywhere that purge protection is.
  return findings(candidate, [
    !recoveryLevel.includes('Recoverable') && [
      'SoftDeleteOff',
      `the recovery level of the key is ${recoveryLevel}`,
      'Use a vault with soft delete.',
    ],
    (recoveryLevel.includes('Purgeable') || !recoveryLevel.includes('Recoverable')) && [
      'PurgeProtectionOff',
      `the recovery level of the key is ${recoveryLevel}`,
      'Turn on purge protection of the vault.',
    ],
    tenant?.toLowerCase() !== context.tenant.toLowerCase() && [
      'WrongTenant',
      tenant === null ? 'the vault did not name its tenant' : `the vault belongs to tenant ${tenant}`,
      'Use a vault in the tenant of the broker.',
    ],
    vaultRegion !== null &&
      region !== undefined &&
      !sameRegion(vaultRegion, region) && [
        'VaultNotRegistered',
        `the vault says that it lies in ${vaultRegion}, it is registered in ${region}`,
        'Use a vault that is registered under its true region: what is registered of a vault cannot change.',
      ],
  ]);
}

function sameRegion(a: string, b: string): boolean {
  const plain = (region: string): string => region.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  return plain(a) === plain(b);
}

/** K1: where the protector may lie. A warning only. */
export function placeFindings(candidate: Candidate, context: Pick<KeyContext, 'serverRegion'>): readonly Finding[] {
  const region = candidate.vault?.region;
  return findings(candidate, [
    region !== undefined &&
      !sameRegion(region, context.serverRegion) && [
        'ProtectorRemote',
        `the protector lies in ${region}, the server in ${context.serverRegion}`,
        'Use a protector in the region of the server, or accept longer calls.',
        'warning',
      ],
  ]);
}

/** A protector without a standby is allowed; it is told wherever keys are looked at, in the same words. */
export function standbyMissing(protector: Candidate, standbys: number): readonly Finding[] {
  return findings(protector, [
    standbys === 0 && [
      'NoStandby',
      'the protector has no standby: an outage of its vault takes the databases with it',
      'Restore a backup of the key into a vault in another region of the same geography, and name it as standby.',
      'warning',
    ],
  ]);
}

/** A standby beside its primary. */
export interface StandbyPair {
  readonly primary: Candidate & { readonly thumbprint: Thumbprint | undefined };
  readonly standby: Candidate & { readonly thumbprint: Thumbprint | undefined };
}

/** K1: what a standby must be beside its primary. */
export function standbyFindings({ primary, standby }: StandbyPair): readonly Finding[] {
  const [a, b] = [primary.vault, standby.vault];
  const mismatch = primary.thumbprint !== undefined && standby.thumbprint !== undefined && primary.thumbprint !== standby.thumbprint;
  const apart = a !== undefined && b !== undefined && a.name !== b.name;
  return findings(standby, [
    mismatch && [
      'MaterialMismatch',
      'the standby has another thumbprint than its primary',
      'Restore a backup of the primary key into the vault of the standby.',
    ],
    a !== undefined &&
      a.name === b?.name && [
        'SameVault',
        `the standby lies in ${a.name}, the vault of its primary`,
        'Use a vault in another region of the same geography.',
      ],
    apart &&
      sameRegion(a.region, b.region) && [
        'SameRegion',
        `the standby lies in ${b.region}, the region of its primary`,
        'Use a vault in another region of the same geography.',
      ],
    apart &&
      !sameRegion(a.geography, b.geography) && [
        'OtherGeography',
        `the standby lies in geography ${b.geography}, its primary in ${a.geography}`,
        'Use a vault in the geography of the primary: a backup restores nowhere else.',
      ],
    apart &&
      a.subscriptionId !== b.subscriptionId && [
        'OtherSubscription',
        'the standby lies in another subscription than its primary',
        'Know that backup and restore of a key need one subscription.',
        'warning',
      ],
  ]);
}

/** True where nothing forbids: warnings do not. */
export function acceptable(all: readonly Finding[]): boolean {
  return all.every((finding) => finding.severity !== 'error');
}
