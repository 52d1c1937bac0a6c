import { StoreAway } from '../../ports/store.ts';
import type { Vault } from '../../domain/vault.ts';
import type { VaultAddress } from '../../ports/registry.ts';
import { hashKey, jsonColumns, jsonValue } from './rows.ts';
import { naming, type ReadReadable } from './readable-rows.ts';
import type { Row, RowKey, Table } from './table.ts';

const partition = 'vaults';
/** Row keys of vaults by name: from `name:` to below `name;`. */
const nameRows = { from: 'name:', below: 'name;' } as const;

function nameKey(name: string): RowKey {
  return { partition, row: `${nameRows.from}${name}` };
}

function uriKey(uri: string): RowKey {
  return { partition, row: `uri:${hashKey(uri)}` };
}

/** The two rows of a vault: by its name, and by its URI to find it by. */
export function vaultToRows(vault: Vault): readonly [Row, Row] {
  return [
    { ...nameKey(vault.name), columns: jsonColumns(vault) },
    { ...uriKey(vault.uri), columns: { name: vault.name } },
  ];
}

/** The vaults that can be read, and the names of those that cannot. */
export async function readVaultRows(
  read: ReadReadable,
): Promise<{ readonly vaults: readonly Vault[]; readonly unreadable: readonly string[] }> {
  const { values, leftOut } = await read({ partition, ...nameRows }, (row) => jsonValue<Vault>(row));
  return { vaults: values, unreadable: [...leftOut.keys()].map((row) => row.slice(nameRows.from.length)) };
}

/** The vault of this name or URI; undefined: there is none. Rejects with `Unreadable`, which names it, where it cannot be read. */
export function findVaultRow(table: Table, by: VaultAddress): Promise<Vault | undefined> {
  return 'name' in by
    ? naming(`vault \`${by.name}\``, () => byName(table, by.name))
    : naming(`the vault of ${by.uri}`, () => byUri(table, by.uri));
}

async function byName(table: Table, name: string): Promise<Vault | undefined> {
  const row = await table.get(nameKey(name));
  return row && jsonValue<Vault>(row);
}

async function byUri(table: Table, uri: string): Promise<Vault | undefined> {
  const row = await table.get(uriKey(uri));
  return row && byName(table, String(row.columns['name']));
}

/**
 * Stores a vault unless its name or its URI is taken (K1). Both rows are inserted in one transaction: either both are new or nothing is
 * written, whoever else registers at the same moment, and no crash leaves half.
 * @returns the vault given, or the one that holds its name, or else its URI.
 */
export async function addVaultRow(table: Table, vault: Vault): Promise<Vault> {
  if (await table.write(vaultToRows(vault).map((row) => ({ kind: 'insert', row })))) return vault;
  const holder = (await findVaultRow(table, { name: vault.name })) ?? (await findVaultRow(table, { uri: vault.uri }));
  if (holder === undefined) throw new StoreAway(`vault \`${vault.name}\` is refused, and nothing holds its name or URI`);
  return holder;
}
