import { StoreAway } from '../../src/ports/store.ts';

/** What is under a key, with the version that a conditional write compares. */
interface Versioned {
  readonly version: number;
  readonly value: unknown;
}

/**
 * The state that the memory ports of all instances of a test share: values under keys, changed by conditional write only, so that two
 * instances meet the same conflicts as in the real store.
 */
export interface MemoryStore {
  /** While true every call rejects with `StoreAway`, and nothing changes. */
  away: boolean;
  /** Called before each read and write, with the key: lets a test put another instance's work in between. */
  before: ((access: 'read' | 'write', key: string) => void | Promise<void>) | undefined;
  /** How many reads and writes there were. */
  readonly counts: { reads: number; writes: number };
  read<T>(key: string, absent: T): Promise<{ readonly value: T; readonly version: number }>;
  /** All values whose key begins with `prefix`, by key. */
  list<T>(prefix: string): Promise<readonly T[]>;
  /** One conditional write; undefined removes. @returns false where the version is no longer the one read. */
  write(key: string, version: number, value: unknown): Promise<boolean>;
  /** The compare-and-set loop; `decide` answers undefined to leave the value as it is. */
  change<T>(key: string, absent: T, decide: (stored: T) => { readonly next: T } | undefined): Promise<T>;
}

export function createMemoryStore(): MemoryStore {
  const values = new Map<string, Versioned>();
  let versions = 0;

  const store: MemoryStore = {
    away: false,
    before: undefined,
    counts: { reads: 0, writes: 0 },

    async read<T>(key: string, absent: T) {
      await touch('read', key);
      const stored = values.get(key);
      return { value: stored === undefined ? absent : (stored.value as T), version: stored?.version ?? 0 };
    },

    async list<T>(prefix: string) {
      await touch('read', prefix);
      const keys = [...values.keys()].filter((key) => key.startsWith(prefix)).sort();
      return keys.map((key) => values.get(key)?.value as T);
    },

    async write(key, version, value) {
      await touch('write', key);
      if ((values.get(key)?.version ?? 0) !== version) return false;
      versions += 1;
      if (value === undefined) values.delete(key);
      else values.set(key, { version: versions, value });
      return true;
    },

    async change<T>(key: string, absent: T, decide: (stored: T) => { readonly next: T } | undefined) {
      for (;;) {
        const { value, version } = await store.read(key, absent);
        const change = decide(value);
        if (change === undefined) return value;
        if (await store.write(key, version, change.next)) return change.next;
      }
    },
  };

  async function touch(access: 'read' | 'write', key: string): Promise<void> {
    await store.before?.(access, key);
    if (store.away) throw new StoreAway('the memory store is away');
    store.counts[access === 'read' ? 'reads' : 'writes'] += 1;
  }

  return store;
}
