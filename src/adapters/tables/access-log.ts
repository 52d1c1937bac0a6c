import { linkKey, soundVault, type Change, type LinkAccess, type LinkRef, type VaultHealth } from '../../domain/access.ts';
import type { AccessLog } from '../../ports/access-log.ts';
import type { Clock } from '../../ports/clock.ts';
import { createTurns } from '../../ports/turns.ts';
import type { EventfulStep, Outbox } from './outbox.ts';
import { createReadReadable } from './readable-rows.ts';
import { hashKey, jsonColumns, jsonValue } from './rows.ts';
import type { PartitionQuery, Row, RowKey, Store, StoredRow, Tell, Write } from './table.ts';

const vaultRow = 'vault';
/** Row keys of links: from `link:` to below `link;`. */
const linkRows = { from: 'link:', below: 'link;' } as const;

/** The rows of the links and, behind them, that of the vault; events that wait for the log lie before them. */
function rowsOf(vault: string): PartitionQuery {
  return { partition: vault, from: linkRows.from };
}

function isOfLink({ row }: Pick<RowKey, 'row'>): boolean {
  return row < linkRows.below;
}

/** The key is hashed, since a key id holds slashes. */
function keyOf(ref: LinkRef): RowKey {
  return { partition: ref.vault, row: `${linkRows.from}${hashKey(linkKey(ref))}` };
}

export function linkRow(access: LinkAccess): Row {
  return { ...keyOf(access.ref), columns: jsonColumns(access) };
}

/**
 * The access log in table `access`: a partition a vault, with a row a link and one of the vault.
 * @param tell hears once of each row that a survey leaves out.
 */
export function createAccessLog(store: Store, clock: Clock, outbox: Outbox, tell: Tell = () => undefined): AccessLog {
  const table = store.table('access');
  const readReadable = createReadReadable(table, 'what is known of access at a vault cannot be read', tell);
  const inTurn = createTurns();

  /** `next: null` of `decide` removes the row. */
  async function change<T>(key: RowKey, read: (stored: StoredRow | undefined) => T, decide: (value: T) => Change<T | null>): Promise<T> {
    return inTurn(`${key.partition}/${key.row}`, () =>
      outbox.change({ table: 'access', partition: key.partition }, async (): Promise<EventfulStep<T>> => {
        const stored = await table.get(key);
        const value = read(stored);
        const change = decide(value);
        if (change === null) return { result: value, writes: [], events: [] };
        const { next, events } = change;
        if (next !== null) return { result: next, writes: [conditional(stored, { ...key, columns: jsonColumns(next) })], events };
        return { result: read(undefined), writes: stored === undefined ? [] : [{ kind: 'remove', row: key, etag: stored.etag }], events };
      }),
    );
  }

  return {
    async read(vault) {
      const readAt = clock.now();
      const { rows } = await table.list(rowsOf(vault));
      const links = rows.filter(isOfLink).map((row) => jsonValue<LinkAccess>(row));
      return { vault, health: healthOf(rows.find(({ row }) => row === vaultRow)), links, readAt };
    },

    async survey(vault) {
      const { values, leftOut } = await readReadable(rowsOf(vault), (row) =>
        isOfLink(row) ? { link: jsonValue<LinkAccess>(row) } : { health: healthOf(row) },
      );
      const found = values.find((value) => value.health !== undefined)?.health;
      return {
        links: values.flatMap(({ link }) => link ?? []),
        health: found ?? (leftOut.has(vaultRow) ? undefined : soundVault),
        unreadable: leftOut.size,
      };
    },

    changeLink: (ref, decide) =>
      change<LinkAccess | undefined>(
        keyOf(ref),
        (row) => row && jsonValue<LinkAccess>(row),
        (stored) => decide(stored),
      ),

    changeVault: (vault, decide) => change({ partition: vault, row: vaultRow }, healthOf, decide),
  };
}

function healthOf(row: StoredRow | undefined): VaultHealth {
  return row === undefined ? soundVault : jsonValue<VaultHealth>(row);
}

/** The write that takes place only if the row is still as it was read. */
function conditional(stored: StoredRow | undefined, row: Row): Write {
  return stored === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag: stored.etag };
}
