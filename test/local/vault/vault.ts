import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAccess } from './access.ts';
import { createShaper } from './answers.ts';
import type { BackupSeal } from './backup.ts';
import { createCalls, type Call } from './calls.ts';
import { isError, keyNotFound, type VaultError } from './errors.ts';
import type { DeletedAnswer, Fault } from './faults.ts';
import { handle, type HandlerWorld, type VaultRequest } from './handler.ts';
import { generateMaterial, type KeySize } from './key-material.ts';
import { createKeys, idOf, type KeyVersion } from './keys.ts';
import { createLimits } from './limits.ts';
import { cryptoOperations, type CryptoOperation, type Operation } from './operations.ts';
import type { Reaction } from './reactions.ts';
import { rememberTokens, type VerifyToken } from './tokens.ts';

/** A vault as it is set up. */
export interface VaultSpec {
  readonly name: string;
  readonly region: string;
  readonly geography: string;
  readonly kind: 'vault' | 'managedHsm';
  readonly softDelete: boolean;
  /** Without effect where soft delete is off. */
  readonly purgeProtection: boolean;
  /** The tenant whose tokens it accepts. */
  readonly tenant: string;
  /** How rights are given, which the words of a refusal show. */
  readonly denial: 'rbac' | 'accessPolicy';
}

/** What a vault needs of its surroundings. */
export interface VaultWorld {
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly verifyToken: VerifyToken;
  /** Origin of the token issuer, e.g. `https://login.microsoftonline.com`. */
  readonly authority: string;
  readonly seal: BackupSeal;
  /** A new UUID; default: random. */
  readonly newId?: () => string;
  /** In [0, 1); default: `Math.random`. */
  readonly random?: () => number;
  /** Default: real time. */
  readonly pause?: (ms: number) => Promise<void>;
}

/** A version of a key, as the control API names it. */
export interface KeyRef {
  readonly keyId: string;
  readonly thumbprint: string;
}

/** Thrown by a vault's controls for what cannot be done; `code` and `message` are the service's. */
export class VaultControlError extends Error {
  readonly status: number;
  readonly code: string;
  constructor({ status, code, message }: VaultError) {
    super(message);
    this.name = 'VaultControlError';
    this.status = status;
    this.code = code;
  }
}

/** What whoever directs the environment can do to a vault and its keys. */
export interface VaultControls {
  /** Makes the newest version of a key, and the key where there is none. Outside every limit. A Managed HSM makes HSM keys whatever `hsm` says. */
  createKey(name: string, shape?: KeyShape): Promise<KeyRef>;
  /** Gives `target` all versions of a key with their ids and attributes, whatever its geography; the answer names the newest there. */
  copyKey(name: string, target: Pick<VaultControls, 'acceptKey'>): KeyRef;
  /** Takes a copy in; `versions` oldest first. */
  acceptKey(versions: readonly [KeyVersion, ...KeyVersion[]]): KeyRef;
  /** Times are milliseconds since the epoch, kept in whole seconds; null takes them away. */
  patchKey(name: string, version: string, change: KeyChange): void;
  /** Irrevocable where soft delete is off. */
  deleteKey(name: string): void;
  recoverKey(name: string): void;
  /** What one identity may do, or, with undefined, everybody, which replaces what was set for single ones. */
  setAccess(principal: string | undefined, allow: readonly Operation[]): void;
  /** Everybody may do everything again. */
  resetAccess(): void;
  /** Oldest first; the newest 100,000. */
  calls(): Call[];
  clearCalls(): void;
}

/** One vault without its transport. */
export interface LocalVault {
  readonly spec: VaultSpec;
  /** Origin, e.g. `https://kv-west.vault.localhost:44301`. */
  readonly uri: string;
  readonly controls: VaultControls;
  handle(request: VaultRequest): Promise<Reaction>;
  fault: Fault | undefined;
  /** How the vault shows that it was deleted; undefined while it exists. */
  deleted: DeletedAnswer | undefined;
}

export interface KeyShape {
  /** Bits; default 2048. */
  readonly size?: KeySize | undefined;
  readonly hsm?: boolean | undefined;
  /** Default: all. */
  readonly keyOps?: readonly CryptoOperation[] | undefined;
}

export interface KeyChange {
  readonly enabled?: boolean | undefined;
  readonly notBefore?: number | null | undefined;
  readonly expires?: number | null | undefined;
}

/** What tokens for a kind of vault are for, and the suffix of its host names: the SDK insists that the one end in the other. */
export const suffixes = { vault: 'vault.localhost', managedHsm: 'managedhsm.localhost' } as const;

/** Makes a vault without keys that lets everybody do everything. `uri` is its origin. */
export function createVault(spec: VaultSpec, uri: string, surroundings: VaultWorld): LocalVault {
  const world = createWorld(spec, uri, surroundings);
  return {
    spec,
    uri,
    controls: createControls(world),
    handle: (request) => handle(world, request),
    get fault() {
      return world.fault;
    },
    set fault(fault) {
      world.fault = fault;
    },
    get deleted() {
      return world.deleted;
    },
    set deleted(deleted) {
      world.deleted = deleted;
    },
  };
}

function createControls({ uri, kind, keys, access, calls }: HandlerWorld): VaultControls {
  const refer = (key: KeyVersion): KeyRef => ({ keyId: idOf(uri, key), thumbprint: key.material.thumbprint });
  return {
    async createKey(name, { size = 2048, hsm = false, keyOps = cryptoOperations } = {}) {
      const material = await generateMaterial(size);
      const attributes = { enabled: true, notBefore: null, expires: null, tags: undefined };
      return refer(done(keys.create(name, { material, hsm: hsm || kind === 'managedHsm', keyOps, ...attributes })));
    },
    copyKey(name, target) {
      const [first, ...others] = keys.versions(name);
      if (first === undefined) throw new VaultControlError(keyNotFound(name, null));
      return target.acceptKey([first, ...others]);
    },
    acceptKey: (versions) => refer(done(keys.restore(versions))),
    patchKey(name, version, { enabled, notBefore, expires }) {
      const change = {
        ...(enabled !== undefined && { enabled }),
        ...(notBefore !== undefined && { notBefore: wholeSeconds(notBefore) }),
        ...(expires !== undefined && { expires: wholeSeconds(expires) }),
      };
      done(keys.update(name, version, change));
    },
    deleteKey: (name) => void done(keys.remove(name)),
    recoverKey: (name) => void done(keys.recover(name)),
    setAccess: (principal, allow) => access.set(principal, allow),
    resetAccess: () => access.reset(),
    calls: () => calls.list(),
    clearCalls: () => calls.clear(),
  };
}

function createWorld(spec: VaultSpec, uri: string, surroundings: VaultWorld): HandlerWorld {
  const { clock, verifyToken, authority, newId = randomUUID, random = Math.random } = surroundings;
  const { kind, region, geography, tenant, softDelete, purgeProtection, denial } = spec;
  const resource = `https://${suffixes[kind]}`;
  const recovery = { softDelete, purgeProtection: softDelete && purgeProtection };
  return {
    ...{ uri, clock, newId, random, kind, geography, tenant, resource },
    ...recovery,
    label: { name: spec.name, region, kind, denial },
    keys: createKeys({ uri, clock, newId, ...recovery }),
    // A Managed HSM does not throttle (facts, key-vault-behaviour 3.6).
    limits: kind === 'vault' ? createLimits(clock) : undefined,
    access: createAccess(),
    calls: createCalls(),
    seal: surroundings.seal,
    shaper: createShaper({ kind, region, authorization: `${authority}/${tenant}`, resource, clock, newId }),
    claimsOf: rememberTokens(verifyToken),
    pause: surroundings.pause ?? ((ms) => sleep(ms, undefined, { ref: false })),
    fault: undefined,
    deleted: undefined,
  };
}

function done<T extends object>(outcome: T | VaultError): T {
  if (isError(outcome)) throw new VaultControlError(outcome);
  return outcome;
}

function wholeSeconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1000) * 1000;
}
