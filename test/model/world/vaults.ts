import { Dek } from '../../../src/domain/dek.ts';
import type { Fault, FaultClass } from '../../../src/domain/fault.ts';
import type { KeyFacts, KeyId, KeyOperation, Thumbprint } from '../../../src/domain/key.ts';
import { millis } from '../../../src/domain/time.ts';
import type { Instant, Millis } from '../../../src/domain/time.ts';
import type { Vault } from '../../../src/domain/vault.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import { heldBack } from '../../../src/ports/vault.ts';
import type { KeyTarget, Reply, VaultPort } from '../../../src/ports/vault.ts';
import { fault } from '../../../src/adapters/fault.ts';

/** Names of vaults, keys and versions that the model knows. */
export const vaultNames = ['west', 'north', 'south', 'east'] as const;
export type VaultName = (typeof vaultNames)[number];
export const keyNames = ['k1', 'k2', 'k3'] as const;
export type KeyName = (typeof keyNames)[number];
export const tenant = '11111111-1111-1111-1111-111111111111';

/** What a vault as a whole does to every call. `lost`: the work is done, the answer never comes. */
export const troubles = [
  'refuse',
  'hang',
  'error5xx',
  'slow',
  'lost',
  'throttle',
  'unknown403',
  'unknown401',
  'firewall',
  'noToken',
] as const;
export type Trouble = (typeof troubles)[number];
/** Troubles that every caller sees as an outage. `slow` and `lost` are none: the vault works. */
export const outageTroubles: readonly (Trouble | null)[] = ['refuse', 'hang', 'error5xx'];

/** An outage of one operation alone. */
export interface PartialOutage {
  readonly operation: 'wrapKey' | 'unwrapKey';
  readonly how: 'hang' | 'error5xx';
}

interface KeyTruth {
  state: 'enabled' | 'disabled' | 'deleted';
  expired: boolean;
}

/** The truth of one vault; changed by the model's actions only. */
export interface VaultTruth {
  readonly vault: Vault;
  trouble: Trouble | null;
  /** Where it fails one operation and answers the others. */
  partial: PartialOutage | null;
  deleted: 'nxdomain' | '503' | null;
  /** By identity: the operations that it may not do. */
  readonly forbidden: Map<string | null, ReadonlySet<KeyOperation>>;
  readonly keys: Map<KeyName, KeyTruth>;
  /** True time of the last change of any of this. */
  changedAt: number;
}

/** One call as the vault, and the model, see it. Times are true: monotonic milliseconds of the one timeline. */
export interface Call {
  readonly begunAt: number;
  /** Which run of which instance. */
  readonly instance: string;
  readonly vault: VaultName;
  readonly keyId: KeyId;
  readonly identity: string | null;
  readonly operation: KeyOperation;
  /** Server whose DEK it was; null for canaries and GETs. */
  readonly server: string | null;
  outcome: FaultClass | 'ok' | undefined;
  fault: Fault | undefined;
  /** As the caller stamped it. */
  receivedAt: Instant | undefined;
}

export interface Vaults {
  readonly truth: ReadonlyMap<string, VaultTruth>;
  /** All that reached a vault, in order. */
  readonly calls: readonly Call[];
  /** The port of one run of an instance. */
  port(instance: string, clock: Clock): VaultPort;
  /** Called when a caller has its answer, before it acts on it. */
  onAnswer: (call: Call) => void;
  onCall: (call: Call) => void;
}

const usualMs = 12;
const slowMs = 1400;
const geography = 'Europe';

export function vaultNamed(name: VaultName): Vault {
  return { name, uri: `https://${name}.vault.azure.net`, kind: 'vault', region: `${name}europe`, geography, subscriptionId: 's1' };
}

export function keyIdOf(vault: VaultName, key: KeyName): KeyId {
  return `https://${vault}.vault.azure.net/keys/${key}/v1` as KeyId;
}

const materials: Readonly<Record<KeyName, number>> = { k1: 1, k2: 2, k3: 3 };

/** The name in a key id. */
export function keyNamed(keyId: KeyId): KeyName {
  return keyId.split('/')[4] as KeyName;
}

export function thumbprintOf(key: KeyName): Thumbprint {
  return String(materials[key]).repeat(43) as Thumbprint;
}

/** First byte of a DEK that the model wraps; the second numbers the server, the others are `dekFill`. Canaries are random. */
export const dekMark = 0xd0;
export const dekFill = 7;

/** The ciphertext of `plain` under the material of `key`: legible, since the model's law is not cryptography. */
export function wrapped(key: KeyName, plain: Uint8Array): Uint8Array {
  return Uint8Array.from([materials[key], ...plain]);
}

/** @param now true time. `serverNamed` reads the server from the second byte of a DEK. */
export function simulatedVaults(now: () => number, serverNamed: (mark: number) => string): Vaults {
  const calls: Call[] = [];
  const truth = new Map<string, VaultTruth>();
  for (const name of vaultNames) {
    const keys = new Map<KeyName, KeyTruth>(keyNames.map((key) => [key, { state: 'enabled', expired: false }]));
    truth.set(name, {
      vault: vaultNamed(name),
      trouble: null,
      partial: null,
      deleted: null,
      forbidden: new Map(),
      keys,
      changedAt: -Infinity,
    });
  }

  const vaults: Vaults = { truth, calls, port, onAnswer: () => undefined, onCall: () => undefined };

  /** What the vault does with a call that reaches it now: a value, a fault, or `hang`. */
  function treat<T>(call: Call, value: (key: KeyName) => T | undefined): T | Fault | 'hang' {
    const vault = truth.get(call.vault)!;
    const key = keyNamed(call.keyId);
    if (troubleOf(vault, call.operation) === 'hang') return 'hang';
    return refusalOf(vault, key, call) ?? value(key) ?? fault('invalidRequest', 'the ciphertext is not under this key', { status: 400 });
  }

  function port(instance: string, clock: Clock): VaultPort {
    const met = new Set<VaultName>();

    /** The first call to a vault meets its challenge first; what may leave is asked after that. @returns whether the call may be made. */
    async function approach({ vault, mayLeave }: KeyTarget, within: Millis): Promise<boolean> {
      const name = vault.name as VaultName;
      if (!met.has(name)) {
        met.add(name);
        await clock.pause(millis(Math.min(troubleOf(truth.get(name)!) === 'slow' ? slowMs : usualMs, within)));
      }
      return mayLeave === undefined || mayLeave();
    }

    async function make<T>(
      operation: KeyOperation,
      target: KeyTarget,
      more: { within: Millis; server: string | null; value: (key: KeyName) => T | undefined },
    ): Promise<Reply<T>> {
      const vault = target.vault.name as VaultName;
      const begun = clock.elapsed();
      const may = await approach(target, more.within);
      const sentAt = clock.now();
      if (!may) {
        const unsent = fault('ambiguous', 'held back', { code: heldBack });
        return { sentAt, receivedAt: sentAt, ms: millis(clock.elapsed() - begun), ok: false, fault: unsent };
      }
      const call: Call = {
        begunAt: now(),
        instance,
        vault,
        keyId: target.keyId,
        identity: target.identity,
        operation,
        server: more.server,
        outcome: undefined,
        fault: undefined,
        receivedAt: undefined,
      };
      calls.push(call);
      vaults.onCall(call);
      const trouble = troubleOf(truth.get(vault)!);
      const latency = trouble === 'slow' ? slowMs : usualMs;
      await clock.pause(millis(Math.min(usualMs / 2, more.within)));
      const lost = troubleOf(truth.get(vault)!) === 'lost';
      const answer = treat(call, more.value);
      const takes = answer === 'hang' || lost ? more.within : Math.min(latency, more.within);
      await clock.pause(millis(takes - Math.min(usualMs / 2, more.within)));
      const late = answer === 'hang' || lost || latency > more.within;
      const result = late ? fault('outage', 'the vault did not answer in time') : answer;
      call.receivedAt = clock.now();
      const span = { sentAt, receivedAt: call.receivedAt, ms: millis(clock.elapsed() - begun) };
      const failed = isFault(result);
      call.outcome = failed ? result.class : 'ok';
      call.fault = failed ? result : undefined;
      vaults.onAnswer(call);
      return failed ? { ...span, ok: false, fault: result } : { ...span, ok: true, value: result };
    }

    return {
      wrap: (target, dek, _algorithm, within) => {
        const plain = Uint8Array.from(dek.reveal());
        return make('wrapKey', target, { within, server: serverOf(plain), value: (key) => wrapped(key, plain) });
      },
      unwrap: (target, ciphertext, _algorithm, within) => {
        const value = (key: KeyName): Dek | undefined =>
          ciphertext[0] === materials[key] ? new Dek(Uint8Array.from(ciphertext.slice(1))) : undefined;
        return make('unwrapKey', target, { within, server: serverOf(ciphertext.slice(1)), value });
      },
      get: (target, within) =>
        make('get', target, { within, server: null, value: (key) => factsOf(target.keyId, key, truth.get(target.vault.name)!) }),
    };
  }

  function serverOf(plain: Uint8Array): string | null {
    return plain[0] === dekMark && plain[2] === dekFill && plain[3] === dekFill ? serverNamed(plain[1] ?? 0) : null;
  }

  return vaults;
}

function isFault(result: unknown): result is Fault {
  return typeof result === 'object' && result !== null && 'mayHideDenial' in result;
}

/** What the vault's trouble is to a caller: a name that is gone leads nowhere, whatever is at its end. */
export function troubleOf({ trouble, partial, deleted }: VaultTruth, operation?: KeyOperation): Trouble | null {
  if (deleted === 'nxdomain' && trouble !== 'noToken') return null;
  return trouble ?? (partial?.operation === operation ? (partial?.how ?? null) : null);
}

const troubleFaults: Readonly<Partial<Record<Trouble, Fault>>> = {
  noToken: fault('identityOutage', 'no token'),
  refuse: fault('outage', 'the connection failed', { code: 'ECONNREFUSED' }),
  error5xx: fault('outage', 'a server error', { status: 503 }),
  throttle: fault('throttled', 'the vault throttles', { status: 429 }),
  unknown403: fault('ambiguous', 'a 403 without headers', { status: 403, mayHideDenial: true }),
  unknown401: fault('ambiguous', 'a 401 without headers', { status: 401, mayHideDenial: true }),
  firewall: fault('revoked', 'the network rules refuse', { status: 403, code: 'ForbiddenByFirewall', reach: 'vault' }),
};

function refusalOf(vault: VaultTruth, key: KeyName, { operation, identity }: Call): Fault | undefined {
  const trouble = troubleOf(vault, operation);
  if (trouble === 'noToken') return troubleFaults.noToken;
  if (vault.deleted === 'nxdomain') return fault('vaultGone', 'the name is gone', { code: 'ENOTFOUND', reach: 'vault' });
  if (vault.deleted === '503') return troubleFaults.error5xx;
  const troubled = trouble === null ? undefined : troubleFaults[trouble];
  if (troubled !== undefined) return troubled;
  if (vault.forbidden.get(identity)?.has(operation) === true) {
    return fault('revoked', 'this identity is refused', { status: 403, code: 'ForbiddenByRbac', reach: 'identity' });
  }
  return keyRefusal(vault.keys.get(key)!, operation);
}

function keyRefusal({ state, expired }: KeyTruth, operation: KeyOperation): Fault | undefined {
  if (state === 'deleted') return fault('keyGone', 'no such key', { status: 404, code: 'KeyNotFound', reach: 'key' });
  // A disabled key still wraps (T31) and shows its attributes.
  if (state === 'disabled' && operation === 'unwrapKey') {
    return fault('revoked', 'the key is disabled', { status: 403, code: 'KeyDisabled', reach: 'key' });
  }
  if (!expired || operation !== 'wrapKey') return undefined;
  return fault('revoked', 'the key has expired', { status: 403, code: 'KeyExpired', reach: 'key', outsideValidity: true });
}

function factsOf(keyId: KeyId, key: KeyName, { vault, keys }: VaultTruth): KeyFacts {
  const { state, expired } = keys.get(key)!;
  return {
    keyId,
    keyType: 'RSA-HSM',
    keySize: 2048,
    thumbprint: thumbprintOf(key),
    publicKey: undefined,
    enabled: state === 'enabled',
    notBefore: null,
    expires: expired ? 1 : null,
    operations: ['wrapKey', 'unwrapKey'],
    recoveryLevel: 'Recoverable+ProtectedSubscription',
    vaultRegion: vault.region,
    tenant,
  };
}
