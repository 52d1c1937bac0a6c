import type { Link, RegisteredServer, Server, Tier } from '../../domain/server.ts';
import { hashKey, jsonColumns, jsonValue } from './rows.ts';
import type { Row, StoredRow, Write } from './table.ts';

/** Row key of the row that guards a server's partition: every change is conditional on its version. It sorts behind all others. */
export const guardKey = 'server';
const linkPrefix = 'link:';
const databasePrefix = 'database:';

/** The rows of a server: one of its own, one a link, one a database. */
export function toRows(registered: RegisteredServer): { readonly guard: Row; readonly others: readonly Row[] } {
  const { server, incarnation, revision } = registered;
  const partition = server.name;
  const links = registered.links.map((link, position) => ({
    partition,
    row: `${linkPrefix}${hashKey(link.keyId)}`,
    columns: { position, ...jsonColumns(link) },
  }));
  const databases = [...registered.databases].map(([name, tier]) => ({ partition, row: `${databasePrefix}${name}`, columns: { tier } }));
  return {
    guard: { partition, row: guardKey, columns: { incarnation, revision, ...jsonColumns(server) } },
    others: [...links, ...databases],
  };
}

/** The server that the rows of a partition say; undefined where there is none, or where its removal has begun. */
export function fromRows(rows: readonly Row[]): RegisteredServer | undefined {
  const guard = rows.find(({ row }) => row === guardKey);
  if (guard === undefined || isTombstone(guard)) return undefined;
  const links = rows
    .filter(({ row }) => row.startsWith(linkPrefix))
    .sort((a, b) => Number(a.columns['position']) - Number(b.columns['position']))
    .map((row) => jsonValue<Link>(row));
  const databases = new Map<string, Tier>();
  for (const { row, columns } of rows) {
    if (row.startsWith(databasePrefix)) databases.set(row.slice(databasePrefix.length), tierOf(columns['tier']));
  }
  const { incarnation = '', revision } = guard.columns;
  return { server: jsonValue<Server>(guard), links, databases, incarnation: String(incarnation), revision: Number(revision) };
}

function tierOf(value: unknown): Tier {
  return value === 'BusinessCritical' ? 'BusinessCritical' : 'GeneralPurpose';
}

/** What stands in place of a server whose removal has begun: absent for every reader, and a guard for those who finish it. */
export function tombstone(name: string): Row {
  return { partition: name, row: guardKey, columns: { removed: 1 } };
}

export function isTombstone(guard: Row): boolean {
  return guard.columns['removed'] === 1;
}

/** Rows that belong to the server but its guard; waiting events do not. */
export function belongings(rows: readonly StoredRow[]): readonly StoredRow[] {
  return rows.filter(({ row }) => row.startsWith(linkPrefix) || row.startsWith(databasePrefix));
}

/** The write of the guard, conditional on the version that was read. */
export function guardWrite(stored: StoredRow | undefined, row: Row): Write {
  return stored === undefined ? { kind: 'insert', row } : { kind: 'replace', row, etag: stored.etag };
}

/** Writes that turn the stored belongings into the wanted ones; rows that are equal stay untouched. */
export function differences(stored: readonly StoredRow[], wanted: readonly Row[]): readonly Write[] {
  const before = new Map(belongings(stored).map((row) => [row.row, row]));
  const writes: Write[] = [];
  for (const row of wanted) {
    const known = before.get(row.row);
    before.delete(row.row);
    if (known === undefined || !sameColumns(known, row)) writes.push({ kind: 'put', row });
  }
  for (const row of before.values()) writes.push({ kind: 'remove', row });
  return writes;
}

function sameColumns(a: Row, b: Row): boolean {
  const names = Object.keys(a.columns);
  return names.length === Object.keys(b.columns).length && names.every((name) => a.columns[name] === b.columns[name]);
}
