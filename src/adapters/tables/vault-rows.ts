import { StoreAway } from '../../ports/store.ts';
import type { Vault } from '../../domain/vault.ts';
import { hashKey, jsonColumns, jsonValue } from './rows.ts';
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

export async function readVaultRows(table: Table): Promise<readonly Vault[]> {
  const { rows } = await table.list({ partition, ...nameRows });
  return rows.map((row) => jsonValue<Vault>(row));
}

/**
 * Stores a vault unless its name or its URI is taken (K1). Both rows are inserted in one transaction: either both are new or nothing is
 * written, whoever else registers at the same moment, and no crash leaves half.
 * @returns the vault given, or the one that holds its name, or else its URI.
 */
export async function addVaultRow(table: Table, vault: Vault): Promise<Vault> {
  if (await table.write(vaultToRows(vault).map((row) => ({ kind: 'insert', row })))) return vault;
  const byName = await table.get(nameKey(vault.name));
  if (byName !== undefined) return jsonValue<Vault>(byName);
  const byUri = await table.get(uriKey(vault.uri));
  const holder = byUri && (await table.get(nameKey(String(byUri.columns['name']))));
  if (holder === undefined) throw new StoreAway(`vault \`${vault.name}\` is refused, and nothing holds its name or URI`);
  return jsonValue<Vault>(holder);
}
