import type { Operation } from './operations.ts';

/** One request that the vault saw. */
export interface Call {
  /** RFC 3339 by the environment's clock: when the request had arrived. */
  readonly at: string;
  /** Object id of the caller; null where no valid token came along. */
  readonly principal: string | null;
  readonly operation: Operation | 'unknown';
  /** The key id that was asked for, with the version that served it where the request named none; null where the call names no key. */
  readonly keyId: string | null;
  /** Null while, or where, no answer was sent. */
  readonly status: number | null;
}

/** A call whose answer is still to come. */
export interface OpenCall {
  status: number | null;
}

interface Entry extends OpenCall {
  readonly at: number;
  readonly principal: string | null;
  readonly operation: Operation | 'unknown';
  readonly keyId: string | null;
}

export interface Calls {
  add(at: number, principal: string | null, operation: Operation | 'unknown', keyId: string | null): OpenCall;
  /** In order of arrival. */
  list(): Call[];
  clear(): void;
}

/** Keeps the newest `limit` calls; to add one costs no more when it is full. */
export function createCalls(limit = 100_000): Calls {
  let entries: Entry[] = [];
  let next = 0;
  return {
    add(at, principal, operation, keyId) {
      const entry: Entry = { at, principal, operation, keyId, status: null };
      if (entries.length < limit) {
        entries.push(entry);
      } else {
        entries[next] = entry;
        next = (next + 1) % limit;
      }
      return entry;
    },
    list: () => [...entries.slice(next), ...entries.slice(0, next)].map((entry) => ({ ...entry, at: new Date(entry.at).toISOString() })),
    clear() {
      entries = [];
      next = 0;
    },
  };
}
