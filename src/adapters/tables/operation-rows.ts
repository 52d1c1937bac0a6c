import type { NumberedRecord } from '../../domain/operation.ts';
import { instant, toRfc3339 } from '../../domain/time.ts';
import { readRun, type RecordRun } from './record-run.ts';
import { hashKey, jsonValue, notOurs, textColumns, timeKey } from './rows.ts';
import type { Row, RowKey } from './table.ts';

/** What a row of the operation log holds: a run of records with successive numbers. */
export interface Group {
  readonly instance: string;
  /** When the group was formed, milliseconds since the epoch. */
  readonly at: number;
  readonly run: RecordRun;
  /** Highest number given out when the group was formed: a kill after it has lost at least what lies between. */
  readonly issued: number;
}

/** The partition of a time: its hour, e.g. `2026-11-22T06`. */
export function hourOf(ms: number): string {
  return toRfc3339(instant(ms)).slice(0, 13);
}

/** The schema since which a record tells what differs from the one before it. */
const differencesSince = 3;

/** Numbers are text: they may outgrow 32 bits. */
export function groupToRow({ instance, at, run: { from, size, json }, issued }: Group): Row {
  const row = `${timeKey(at)}:${hashKey(instance)}:${String(from).padStart(15, '0')}`;
  const columns = { instance, from: String(from), to: String(from + size - 1), issued: String(issued), ...textColumns(json) };
  return { partition: hourOf(at), row, schema: differencesSince, columns };
}

/** The records of a row, in the order of their numbers. @throws Unreadable where it was not written by a broker. */
export function rowToRecords(row: Row): readonly NumberedRecord[] {
  const instance = String(row.columns['instance']);
  const from = Number(row.columns['from']);
  const records = readRun(jsonValue(row));
  if (records === undefined) throw notOurs(row);
  return records.map((record, index) => ({ ...record, instance, number: from + index }));
}

/** A cursor of the operation log: hour, row key and index of the last record seen. */
const cursorForm = /^(\d{4}-\d{2}-\d{2}T\d{2})~(\d{15}:[A-Za-z0-9_-]{22}:\d{15})~(\d{1,7})$/;

/** Whether the text has the form of a cursor of the operation log. */
export function isOperationCursor(text: string): boolean {
  return cursorForm.test(text);
}

export function toCursor({ partition, row }: RowKey, index: number): string {
  return `${partition}~${row}~${index}`;
}

/** The index in a cursor that stands behind all records of a row: no row holds as many. */
export const behindAll = 9_999_999;

/** The cursor behind all records of a row, also of one that cannot be read. */
export function behindRow(key: RowKey): string {
  return toCursor(key, behindAll);
}

export function fromCursor(cursor: string): (RowKey & { readonly index: number }) | undefined {
  const [, partition, row, index] = cursorForm.exec(cursor) ?? [];
  if (partition === undefined || row === undefined || index === undefined) return undefined;
  return { partition, row, index: Number(index) };
}
