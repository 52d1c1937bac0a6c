import { createHash } from 'node:crypto';
import { Unreadable } from '../../ports/store.ts';
import type { Columns, Row, StoredRow } from './table.ts';

/**
 * The newest version of rows that this program knows. A change that an older program would misread raises it. 2: servers have incarnations,
 * and the association ledger an account for each. 3: the operation log tells of a record what differs from the one before it.
 */
export const rowSchema = 3;

/** Of a row that says no other: written is the oldest version that has the row's form, so that an older program beside this one reads on. */
const commonSchema = 2;

/** Characters a string column: Tables holds 64 KiB of UTF-16, and we stay a little below. */
const columnLength = 32_000;

/** A row as the SDK takes and gives it. */
export type Entity = Record<string, unknown> & { partitionKey: string; rowKey: string };

const keysOfTheService = new Set(['partitionKey', 'rowKey', 'schema', 'etag', 'timestamp', 'odata.metadata', 'odata.etag']);

export function toEntity(row: Row): Entity {
  return { partitionKey: row.partition, rowKey: row.row, schema: row.schema ?? commonSchema, ...row.columns };
}

/** @throws Unreadable where the row has a newer schema than this program knows: it is refused, never misread. */
export function fromEntity(entity: Readonly<Record<string, unknown>>): StoredRow {
  const { partitionKey, rowKey, schema, etag } = entity;
  if (typeof partitionKey !== 'string' || typeof rowKey !== 'string') throw new Unreadable('a row without keys was read');
  if (typeof schema !== 'number' || schema > rowSchema) {
    throw new Unreadable(`row \`${rowKey}\` has schema ${String(schema)}, this broker knows up to ${rowSchema}: update it`);
  }
  const columns: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(entity)) {
    if (!keysOfTheService.has(name) && (typeof value === 'string' || typeof value === 'number')) columns[name] = value;
  }
  return { partition: partitionKey, row: rowKey, columns, etag: typeof etag === 'string' ? etag : '' };
}

/** Spreads a text over the columns `json`, `json1`, `json2`, …; no column begins or ends inside a surrogate pair. */
export function textColumns(text: string): Columns {
  const columns: Record<string, string> = {};
  let start = 0;
  for (let part = 0; part === 0 || start < text.length; part += 1) {
    let end = Math.min(start + columnLength, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end -= 1;
    columns[part === 0 ? 'json' : `json${part}`] = text.slice(start, end);
    start = end;
  }
  return columns;
}

export function columnsText(columns: Columns): string {
  let text = '';
  for (let part = 0; ; part += 1) {
    const piece = columns[part === 0 ? 'json' : `json${part}`];
    if (typeof piece !== 'string') return text;
    text += piece;
  }
}

export function jsonColumns(value: unknown): Columns {
  return textColumns(JSON.stringify(value));
}

/** The value that `jsonColumns` stored. The row's schema says its type: rows are written by this folder alone, and vectors pin their form. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names the type that this row's schema pins
export function jsonValue<T>(row: Pick<Row, 'row' | 'columns'>): T {
  try {
    return JSON.parse(columnsText(row.columns)) as T;
  } catch {
    throw notOurs(row);
  }
}

export function notOurs({ row }: Pick<Row, 'row'>): Unreadable {
  return new Unreadable(`row \`${row}\` cannot be read: it was not written by a broker`);
}

/** Row keys that sort by time: milliseconds since the epoch in 15 digits. */
export function timeKey(msSinceEpoch: number): string {
  return String(Math.max(0, Math.trunc(msSinceEpoch))).padStart(15, '0');
}

/** A key made of any text: the first 132 bits of its SHA-256, base64url. */
export function hashKey(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
