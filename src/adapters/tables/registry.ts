import type { RegisteredServer } from '../../domain/server.ts';
import { seconds, type Millis } from '../../domain/time.ts';
import type { Vault } from '../../domain/vault.ts';
import type { Clock } from '../../ports/clock.ts';
import { Unreadable } from '../../ports/store.ts';
import type { Registry } from '../../ports/registry.ts';
import { createChangeFeed, type Announced, type ChangeFeed } from './change-feed.ts';
import { createTurns } from '../../ports/turns.ts';
import type { Outbox } from './outbox.ts';
import { createRegistryCopy, type Order, type RegistryCopy } from './registry-copy.ts';
import { createReadReadable, createTellOnce, naming } from './readable-rows.ts';
import { createRefresh } from './registry-refresh.ts';
import { changeStep, finishRemoval, readPartition, readPartitions, type Partition } from './server-partition.ts';
import { isTombstone } from './server-rows.ts';
import { listStandings, markStanding } from './standings.ts';
import type { Settle } from './standings.ts';
import type { RowKey, Store, Tell } from './table.ts';
import { addVaultRow, findVaultRow, readVaultRows } from './vault-rows.ts';

export interface RegistryOptions {
  readonly clock: Clock;
  readonly outbox: Outbox;
  /** How often the copy is refreshed; default 2 s. */
  readonly pollMs?: Millis;
  /** How far the wall clocks of two instances may differ; default 2 s. */
  readonly clockSkewMs?: Millis;
  /** Hears once of each server, and each row of a list, that cannot be read; default: nobody does. */
  readonly tell?: Tell;
}

/** The registry with its copy, which is refreshed in the background until `close`. */
export interface TableRegistry extends Registry {
  /** Brings the copy up to date now. Rejects with `StoreAway`; the copy then stays as it is. */
  refresh(): Promise<void>;
  close(): void;
}

/**
 * The registry in two tables: `servers` with a partition a server, and `registry` with the partitions `vaults`, `names` (the index of
 * servers) and `changes` (the feed that keeps every instance's copy fresh). A refresh costs what changed, not what is registered.
 */
export function createRegistry(
  store: Store,
  { clock, outbox, pollMs = seconds(2), clockSkewMs = seconds(2), tell = () => undefined }: RegistryOptions,
): TableRegistry {
  const lists = store.table('registry');
  const feed = createChangeFeed(lists, { clock, clockSkewMs, tell });
  const copy = createRegistryCopy();
  const servers = createServers(store, { copy, feed, outbox, tell });
  const readVaultList = createReadReadable(lists, 'a vault cannot be read', tell);
  const readNames = createReadReadable(lists, 'what the index says of a server cannot be read', tell);
  const readStandings = createReadReadable(lists, 'the standing of a server cannot be read', tell);
  const closing = new AbortController();

  async function readVaults(): Promise<readonly Vault[]> {
    const order = copy.begin();
    const { vaults, unreadable } = await readVaultRows(readVaultList);
    return copy.keepVaults(order, vaults, unreadable);
  }

  const refresh = createRefresh({ clock, feed, copy, readServer: servers.read, readVaults });
  void keepFresh(refresh, { clock, pollMs, closing: closing.signal });
  return {
    peekServer: (name) => copy.server(name),
    peekVault: (name) => copy.vault(name),
    peekVaults: () => copy.vaults(),
    readServer: servers.read,
    readTogether: (names) => readPartitions(store.table('servers'), names),
    readVaults,
    findVault: (by) => findVaultRow(lists, by),
    changeServer: servers.change,
    async addVault(vault) {
      const announced = await feed.announce({ kind: 'vaults' });
      const stored = await addVaultRow(lists, vault);
      feed.landed(announced);
      await readVaults();
      return stored;
    },
    async serverNames(after, limit) {
      const query = { partition: namesPartition, ...(after === null ? {} : { after }) };
      const { values, leftOut } = await readNames(query, ({ row }) => row, limit);
      // The key says the name, whatever else the row says.
      return [...values, ...leftOut.keys()].sort().slice(0, limit);
    },
    serversNotOnline: (after, limit) => listStandings({ rows: readStandings, server: servers.read }, after, limit),
    refresh,
    close: () => {
      closing.abort();
    },
  };
}

async function keepFresh(
  refresh: () => Promise<void>,
  { clock, pollMs, closing }: { clock: Clock; pollMs: Millis; closing: AbortSignal },
): Promise<void> {
  for (;;) {
    await clock.pause(pollMs, closing);
    if (closing.aborted) return;
    // Store away: the copy goes on serving, and the next poll reads all markers since the last that succeeded.
    await refresh().catch(() => undefined);
  }
}

interface Parts {
  readonly copy: RegistryCopy;
  readonly feed: ChangeFeed;
  readonly outbox: Outbox;
  readonly tell: Tell;
}

/** Reading and changing one server. */
function createServers(
  store: Store,
  { copy, feed, outbox, tell }: Parts,
): { read: Registry['readServer']; change: Registry['changeServer'] } {
  const table = store.table('servers');
  const lists = store.table('registry');
  const inTurn = createTurns();
  const telling = createTellOnce('server', 'a server cannot be read', tell);

  function readRows(name: string): Promise<Partition> {
    return telling(name, () => naming(`server \`${name}\``, () => readPartition(table, name)));
  }

  /** Before the server is stored: a crash in between leaves a name without a server, which readers pass over, never the reverse. */
  async function indexName(name: string): Promise<void> {
    await lists.write([{ kind: 'put', row: { ...nameKey(name), columns: {} } }]);
  }

  async function finish(name: string): Promise<void> {
    await finishRemoval(table, { table: lists, key: nameKey(name) }, name);
  }

  /** To readers the server is gone already, and whoever fails here leaves it to the next reader. */
  function finishInBackground(name: string): void {
    inTurn(name, () => finish(name)).catch(() => undefined);
  }

  /** What is stored of a server, with what is left of a removed one out of the way. */
  async function readToChange(name: string): Promise<Partition> {
    for (;;) {
      const partition = await readRows(name);
      if (partition.guard === undefined || !isTombstone(partition.guard)) return partition;
      await finish(name);
    }
  }

  async function change(name: string, decide: Decide): Promise<RegisteredServer | undefined> {
    const tried: { announced?: Announced; creates: boolean; order: Order; settle?: Settle } = { creates: false, order: copy.begin() };
    const result = await outbox.change({ table: 'servers', partition: name }, async () => {
      tried.order = copy.begin();
      const partition = await readToChange(name);
      const change = decide(partition.registered);
      if (change === null) return { result: partition.registered, writes: [], events: [] };
      tried.announced = await feed.announce({ kind: 'server', name }, tried.announced);
      tried.creates = partition.guard === undefined && change.next !== null;
      if (tried.creates) await indexName(name);
      tried.settle = await markStanding(lists, name, partition.registered, change.next);
      return changeStep(name, partition, change);
    });
    copy.keepServer(name, tried.order, result);
    if (tried.announced === undefined) return result;
    feed.landed(tried.announced);
    await tried.settle?.();
    if (result === undefined) finishInBackground(name);
    // Again, since another instance may have registered and removed the server, name and all, between our index row and our change.
    else if (tried.creates) await indexName(name);
    return result;
  }

  async function read(name: string): Promise<RegisteredServer | undefined> {
    const order = copy.begin();
    const { registered, guard } = await readRows(name).catch((error: unknown) => {
      // What stands in the copy is not what is stored: whoever asks for the server reads, and hears why it cannot be told.
      if (error instanceof Unreadable) copy.keepServer(name, order, undefined);
      throw error;
    });
    copy.keepServer(name, order, registered);
    if (guard !== undefined && isTombstone(guard)) finishInBackground(name);
    return registered;
  }

  return {
    read: (name) => copy.during(name, () => read(name)),
    change: (name, decide) => copy.during(name, () => inTurn(name, () => change(name, decide))),
  };
}

type Decide = Parameters<Registry['changeServer']>[1];

const namesPartition = 'names';

function nameKey(name: string): RowKey {
  return { partition: namesPartition, row: name };
}
