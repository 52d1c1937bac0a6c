import {
  deletedButRecoverable,
  deletedKeyNotFound,
  keyNotFound,
  purgeForbidden,
  recoverConflict,
  restoreConflict,
  type VaultError,
} from './errors.ts';
import type { KeyMaterial } from './key-material.ts';

/** One version of a key. Times are milliseconds since the epoch, in whole seconds, as the service keeps them. */
export interface KeyVersion {
  /** The key's name as it was created; the service compares names without regard to case. */
  readonly name: string;
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly hsm: boolean;
  readonly material: KeyMaterial;
  readonly keyOps: readonly string[];
  readonly enabled: boolean;
  readonly notBefore: number | null;
  readonly expires: number | null;
  readonly created: number;
  readonly updated: number;
  readonly tags: Readonly<Record<string, string>> | undefined;
}

/** What a version is made of; all else is given to it. */
export type NewVersion = Pick<KeyVersion, 'hsm' | 'material' | 'keyOps' | 'enabled' | 'notBefore' | 'expires' | 'tags'>;
export type VersionChange = Partial<Pick<KeyVersion, 'keyOps' | 'enabled' | 'notBefore' | 'expires' | 'tags'>>;

/** A key that was deleted, and can be recovered until `purgeAt`. */
export interface DeletedKey {
  readonly latest: KeyVersion;
  readonly deletedAt: number;
  readonly purgeAt: number;
}

/** What the vault does with deleted keys. */
export interface Recovery {
  readonly softDelete: boolean;
  readonly purgeProtection: boolean;
}

export interface KeysWorld extends Recovery {
  /** Origin of the vault, from which its key ids are built. */
  readonly uri: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** A new UUID. */
  readonly newId: () => string;
}

interface KeyRecord {
  /** By version, oldest first. */
  readonly versions: Map<string, KeyVersion>;
  latest: KeyVersion;
}

interface DeletedRecord extends KeyRecord {
  readonly deletedAt: number;
  readonly purgeAt: number;
}

export const retentionDays = 90;
const retentionMs = retentionDays * 86_400_000;

export type Keys = ReturnType<typeof createKeys>;

/** The keys of one vault. A method that cannot do what it is asked answers the service's error. */
export function createKeys(world: KeysWorld) {
  const active = new Map<string, KeyRecord>();
  const deleted = new Map<string, DeletedRecord>();
  const seconds = () => Math.floor(world.clock() / 1000) * 1000;

  function deletedRecord(name: string): DeletedRecord | undefined {
    const record = deleted.get(name.toLowerCase());
    if (record === undefined || world.clock() < record.purgeAt) return record;
    deleted.delete(name.toLowerCase());
    return undefined;
  }

  function find(name: string, version: string | null): KeyVersion | undefined {
    const record = active.get(name.toLowerCase());
    return version === null ? record?.latest : record?.versions.get(version);
  }

  /** Makes the key's newest version, and the key where there is none. */
  function create(name: string, made: NewVersion): KeyVersion | VaultError {
    if (deletedRecord(name) !== undefined) return deletedButRecoverable(name);
    const now = seconds();
    const record = active.get(name.toLowerCase());
    const identity = { name: record?.latest.name ?? name, version: world.newId().replaceAll('-', '') };
    const latest: KeyVersion = { ...identity, ...made, created: now, updated: now };
    if (record === undefined) active.set(name.toLowerCase(), { versions: new Map([[latest.version, latest]]), latest });
    else {
      record.versions.set(latest.version, latest);
      record.latest = latest;
    }
    return latest;
  }

  function update(name: string, version: string | null, change: VersionChange): KeyVersion | VaultError {
    const record = active.get(name.toLowerCase());
    const before = find(name, version);
    if (record === undefined || before === undefined) return keyNotFound(name, version);
    const after = { ...before, ...change, updated: seconds() };
    record.versions.set(after.version, after);
    if (record.latest === before) record.latest = after;
    return after;
  }

  /** Without soft delete the key is gone at once; its answer then has nothing to recover. */
  function remove(name: string): DeletedKey | KeyVersion | VaultError {
    const record = active.get(name.toLowerCase());
    if (record === undefined) return keyNotFound(name, null);
    active.delete(name.toLowerCase());
    if (!world.softDelete) return record.latest;
    const deletedAt = seconds();
    const gone = { ...record, deletedAt, purgeAt: deletedAt + retentionMs };
    deleted.set(name.toLowerCase(), gone);
    return gone;
  }

  function recover(name: string): KeyVersion | VaultError {
    const record = deletedRecord(name);
    const existing = find(name, null);
    if (existing !== undefined) return recoverConflict(idOf(world.uri, existing));
    if (record === undefined) return deletedKeyNotFound(name);
    deleted.delete(name.toLowerCase());
    active.set(name.toLowerCase(), { versions: record.versions, latest: record.latest });
    return record.latest;
  }

  /** Undefined when it is done. */
  function purge(name: string): VaultError | undefined {
    if (deletedRecord(name) === undefined) return deletedKeyNotFound(name);
    if (world.purgeProtection) return purgeForbidden;
    deleted.delete(name.toLowerCase());
    return undefined;
  }

  /** Takes in a key with all its versions and their ids, oldest first. */
  function restore(versions: readonly [KeyVersion, ...KeyVersion[]]): KeyVersion | VaultError {
    const latest = versions.at(-1) ?? versions[0];
    const name = latest.name.toLowerCase();
    if (active.has(name) || deletedRecord(name) !== undefined) return restoreConflict(idOf(world.uri, latest));
    active.set(name, { versions: new Map(versions.map((each) => [each.version, each])), latest });
    return latest;
  }

  return {
    find,
    create,
    update,
    remove,
    recover,
    purge,
    restore,
    /** Oldest first; empty if there is no such key. */
    versions: (name: string): readonly KeyVersion[] => [...(active.get(name.toLowerCase())?.versions.values() ?? [])],
    findDeleted: (name: string): DeletedKey | undefined => deletedRecord(name),
    /** The newest version of each key, by name. */
    list: (): readonly KeyVersion[] => byName([...active.values()], ({ latest }) => latest.name).map(({ latest }) => latest),
    listDeleted(): readonly DeletedKey[] {
      const kept = [...deleted.keys()].map(deletedRecord).filter((record) => record !== undefined);
      return byName(kept, ({ latest }) => latest.name);
    },
  };
}

/** The full, versioned id of a key. */
export function idOf(uri: string, { name, version }: { readonly name: string; readonly version: string }): string {
  return `${uri}/keys/${name}/${version}`;
}

function byName<T>(records: T[], name: (record: T) => string): T[] {
  return records.sort((a, b) => (name(a) < name(b) ? -1 : 1));
}
