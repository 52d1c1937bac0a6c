import { linkKey, soundVault, type Change, type LinkAccess, type VaultHealth } from '../../src/domain/access.ts';
import type { BrokerEvent } from '../../src/domain/event.ts';
import type { AccessLog } from '../../src/ports/access-log.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { putEvents } from './memory-event-log.ts';
import { Unreadable } from '../../src/ports/store.ts';
import type { MemoryStore } from './memory-store.ts';

/** A test makes a row unreadable by storing what reading it rejects with. */
type AccessRow = LinkAccess | VaultHealth | Unreadable;

/** The access log in memory. */
export function createMemoryAccessLog(store: MemoryStore, clock: Clock): AccessLog {
  async function change<T>(key: string, absent: T, decide: (stored: T) => Change<T | null>): Promise<T> {
    let events: readonly BrokerEvent[] = [];
    const stored = await store.change<T | undefined>(key, undefined, (current) => {
      const change = decide(current ?? absent);
      const nothingChanges = change === null || (change.next === null && current === undefined);
      events = nothingChanges ? [] : change.events;
      return nothingChanges ? undefined : { next: change.next ?? undefined };
    });
    await putEvents(store, events);
    return stored ?? absent;
  }

  return {
    async read(vault) {
      const readAt = clock.now();
      // One access of the store, as the real log's read is one query.
      const rows = await store.list<AccessRow>(`access/${vault}/`);
      const unreadable = rows.find((row) => row instanceof Unreadable);
      if (unreadable !== undefined) throw unreadable;
      const links = rows.filter((row) => 'ref' in row);
      return { vault, health: rows.find((row) => 'openAt' in row) ?? soundVault, links, readAt };
    },
    async survey(vault) {
      const rows = await store.list<AccessRow>(`access/${vault}/`);
      const readable = rows.filter((row) => !(row instanceof Unreadable));
      const health = readable.find((row) => 'openAt' in row) ?? soundVault;
      return { health, links: readable.filter((row) => 'ref' in row), unreadable: rows.length - readable.length };
    },
    changeLink: (ref, decide) => change<LinkAccess | undefined>(`access/${ref.vault}/link/${linkKey(ref)}`, undefined, decide),
    changeVault: (vault, decide) => change(`access/${vault}/health`, soundVault, decide),
  };
}
