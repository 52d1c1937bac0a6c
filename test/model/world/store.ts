import { linkKey, soundVault, untriedLink } from '../../../src/domain/access.ts';
import type { AccessPicture, Change, LinkAccess, LinkRef, VaultHealth } from '../../../src/domain/access.ts';
import type { BrokerEvent } from '../../../src/domain/event.ts';
import type { RegisteredServer } from '../../../src/domain/server.ts';
import { millis } from '../../../src/domain/time.ts';
import type { Vault } from '../../../src/domain/vault.ts';
import type { AccessLog } from '../../../src/ports/access-log.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { Registry } from '../../../src/ports/registry.ts';
import { StoreAway } from '../../../src/ports/store.ts';

/** `value` undefined: the server was deleted. */
export interface ServerVersion {
  readonly from: number;
  readonly value: RegisteredServer | undefined;
}

/** The rows that all instances share, as they truly are. Rows are values and replaced as a whole, so identity is the version. */
export interface Rows {
  readonly links: Map<string, LinkAccess>;
  readonly healths: Map<string, VaultHealth>;
  /** Every version of each server with the true time from which it is stored: copies lag behind. */
  readonly servers: Map<string, ServerVersion[]>;
  readonly vaults: readonly Vault[];
}

/** Whether a latch is stored at the link. */
export function isLatched({ links }: Rows, link: Pick<LinkRef, 'server' | 'keyId'>): boolean {
  const latch = links.get(linkKey(link))?.latch ?? null;
  return latch !== null;
}

/** Told of each change as it becomes durable; events are stored in the same write. */
export interface Witnesses {
  link(before: LinkAccess | undefined, after: LinkAccess, events: readonly BrokerEvent[], instance: string): void;
  server(before: RegisteredServer | undefined, after: RegisteredServer | undefined, events: readonly BrokerEvent[], instance: string): void;
  health(vault: string, before: VaultHealth, after: VaultHealth, events: readonly BrokerEvent[]): void;
}

/** One instance's way to the store. */
export interface Line {
  /** Rejects: at once, or after the store's time limit. */
  away: 'refusing' | 'hanging' | null;
  /** True time at which it went away last; meanwhile the registry's copy stays as it was. */
  awaySince: number;
  /** One round trip. */
  roundTripMs: number;
  /** So many of the next writes are stored, but their answers are lost. */
  losesAnswers: number;
  /** True time at which one was lost last. */
  lostAt: number;
}

export function soundLine(): Line {
  return { away: null, awaySince: Infinity, roundTripMs: 4, losesAnswers: 0, lostAt: -Infinity };
}

interface Access {
  readonly rows: Rows;
  readonly line: Line;
  readonly clock: Clock;
  readonly instance: string;
  readonly witnesses: Witnesses;
}

const timeLimit = millis(2000);
const copyLag = 2000;

async function trip({ line, clock }: Access): Promise<void> {
  const { away } = line;
  await clock.pause(away === 'hanging' || line.roundTripMs > timeLimit ? timeLimit : millis(line.roundTripMs / 2));
  if (line.away !== null || away !== null || line.roundTripMs > timeLimit) throw new StoreAway('the store is away');
}

/** What becomes of one conditional write. */
interface Slot<T> {
  get(): T;
  put(next: T, events: readonly BrokerEvent[]): void;
}

/** Reads, decides and writes on condition that nobody wrote since, as often as it takes. */
async function changeSlot<T>(
  access: Access,
  slot: Slot<T>,
  decide: (stored: T) => { readonly next: T; readonly events: readonly BrokerEvent[] } | null,
): Promise<T> {
  const { line, clock } = access;
  for (;;) {
    await trip(access);
    const read = slot.get();
    await clock.pause(millis(line.roundTripMs / 2));
    const change = decide(read);
    if (change === null) return read;
    await trip(access);
    if (slot.get() !== read) continue;
    slot.put(change.next, change.events);
    if (line.losesAnswers > 0) {
      line.losesAnswers -= 1;
      line.lostAt = clock.elapsed();
      await clock.pause(timeLimit);
      throw new StoreAway('the answer is lost');
    }
    await clock.pause(millis(line.roundTripMs / 2));
    return change.next;
  }
}

export function simulatedAccessLog(access: Access): AccessLog {
  const { rows, line, clock, instance, witnesses } = access;

  function linkSlot(ref: LinkRef): Slot<LinkAccess | undefined> {
    const key = linkKey(ref);
    return {
      get: () => rows.links.get(key),
      put(next, events) {
        const before = rows.links.get(key);
        if (next === undefined) rows.links.delete(key);
        else rows.links.set(key, next);
        if (next !== before) witnesses.link(before, next ?? untriedLink(ref), events, instance);
      },
    };
  }

  async function read(vault: string): Promise<AccessPicture> {
    const readAt = clock.now();
    await trip(access);
    const links = [...rows.links.values()].filter(({ ref }) => ref.vault === vault);
    const health = rows.healths.get(vault) ?? soundVault;
    await clock.pause(millis(line.roundTripMs / 2));
    return { vault, health, links, readAt };
  }

  return {
    read,
    survey: async (vault) => ({ ...(await read(vault)), unreadable: 0 }),
    changeLink: (ref, decide) =>
      changeSlot(access, linkSlot(ref), (stored) => {
        const change = decide(stored);
        return change && { next: change.next ?? undefined, events: change.events };
      }),
    changeVault(vault, decide: (stored: VaultHealth) => Change<VaultHealth>) {
      const slot: Slot<VaultHealth> = {
        get: () => rows.healths.get(vault) ?? soundVault,
        put(next, events) {
          const before = rows.healths.get(vault) ?? soundVault;
          rows.healths.set(vault, next);
          witnesses.health(vault, before, next, events);
        },
      };
      return changeSlot(access, slot, decide);
    },
  };
}

/** The registry. The copy is two seconds old, or of what the instance read or wrote itself. */
export function simulatedRegistry(access: Access): Registry {
  const { rows, line, clock, instance, witnesses } = access;
  /** By server: place among its versions of the newest that this instance has seen. */
  const own = new Map<string, number>();

  function versionsOf(name: string): ServerVersion[] {
    let versions = rows.servers.get(name);
    if (versions === undefined) rows.servers.set(name, (versions = []));
    return versions;
  }

  function newest(name: string): RegisteredServer | undefined {
    return versionsOf(name).at(-1)?.value;
  }

  function seen(name: string, value: RegisteredServer | undefined): RegisteredServer | undefined {
    const place = versionsOf(name).findLastIndex((version) => version.value === value);
    own.set(name, Math.max(own.get(name) ?? -1, place));
    return value;
  }

  return {
    peekServer(name) {
      const upTo = (line.away === null ? clock.elapsed() : line.awaySince) - copyLag;
      const versions = versionsOf(name);
      const copied = versions.findLastIndex(({ from }) => from <= upTo);
      return versions[Math.max(copied, own.get(name) ?? -1)]?.value;
    },
    peekVault: (name) => rows.vaults.find((vault) => vault.name === name),
    peekVaults: () => rows.vaults,
    async readServer(name) {
      await trip(access);
      const value = newest(name);
      await clock.pause(millis(line.roundTripMs / 2));
      return seen(name, value);
    },
    async readVaults() {
      await trip(access);
      return rows.vaults;
    },
    async findVault(by) {
      await trip(access);
      return rows.vaults.find((vault) => ('name' in by ? vault.name === by.name : vault.uri === by.uri));
    },
    addVault: () => Promise.reject(new Error('the model adds no vault')),
    async changeServer(name, decide) {
      const slot: Slot<RegisteredServer | undefined> = {
        get: () => newest(name),
        put(next, events) {
          const before = newest(name);
          versionsOf(name).push({ from: clock.elapsed(), value: next });
          witnesses.server(before, next, events, instance);
        },
      };
      const stored = await changeSlot(access, slot, (known) => {
        const change = decide(known);
        if (change === null || (change.next === null && known === undefined)) return null;
        return { next: change.next === null ? undefined : { ...change.next, revision: (known?.revision ?? 0) + 1 }, events: change.events };
      });
      return seen(name, stored);
    },
    async readTogether(names) {
      await trip(access);
      return new Map(names.flatMap((name) => (newest(name) === undefined ? [] : [[name, newest(name)!] as const])));
    },
    async serverNames(after, limit) {
      await trip(access);
      const names = [...rows.servers.keys()].filter((name) => newest(name) !== undefined && (after === null || name > after));
      return names.sort().slice(0, limit);
    },
    serversNotOnline: () => Promise.reject(new Error('the model shows no status')),
  };
}
