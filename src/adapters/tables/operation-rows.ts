import type { NumberedRecord, OperationRecord } from '../../domain/operation.ts';
import { instant, toRfc3339 } from '../../domain/time.ts';
import { hashKey, jsonValue, textColumns, timeKey } from './rows.ts';
import type { Row, RowKey } from './table.ts';

/** A record that waits: its number and its JSON, made once. */
export interface Waiting {
  readonly number: number;
  readonly json: string;
}

/** What a row of the operation log holds: a run of records with successive numbers. */
export interface Group {
  readonly instance: string;
  /** When the group was formed, milliseconds since the epoch. */
  readonly at: number;
  readonly records: readonly Waiting[];
  /** Highest number given out when the group was formed: a kill after it has lost at least what lies between. */
  readonly issued: number;
}

/** Characters of JSON a row: with two bytes each it stays below 900 KiB, and Tables takes 1 MiB. */
const charactersPerRow = 450_000;

/** Splits off the longest run from the front of the queue that fits into one row and has no hole in its numbers. */
export function firstRun(queue: readonly Waiting[]): readonly Waiting[] {
  let characters = 2;
  let length = 0;
  let expected = queue[0]?.number;
  for (const { number, json } of queue) {
    characters += json.length + 1;
    if (number !== expected || (length > 0 && characters > charactersPerRow)) break;
    expected = number + 1;
    length += 1;
  }
  return queue.slice(0, length);
}

/** The partition of a time: its hour, e.g. `2026-11-22T06`. */
export function hourOf(ms: number): string {
  return toRfc3339(instant(ms)).slice(0, 13);
}

/** Numbers are text: they may outgrow 32 bits. */
export function groupToRow({ instance, at, records, issued }: Group): Row {
  const from = records[0]?.number ?? 0;
  const row = `${timeKey(at)}:${hashKey(instance)}:${String(from).padStart(15, '0')}`;
  const json = `[${records.map((record) => record.json).join(',')}]`;
  return {
    partition: hourOf(at),
    row,
    columns: { instance, from: String(from), to: String(from + records.length - 1), issued: String(issued), ...textColumns(json) },
  };
}

/** The records of a row, in the order of their numbers. */
export function rowToRecords(row: Row): readonly NumberedRecord[] {
  const instance = String(row.columns['instance']);
  const from = Number(row.columns['from']);
  return jsonValue<readonly OperationRecord[]>(row).map((record, index) => ({ ...record, instance, number: from + index }));
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

/** The cursor behind all records of a row, also of one that cannot be read: no row holds as many. */
export function behindRow(key: RowKey): string {
  return toCursor(key, 9_999_999);
}

export function fromCursor(cursor: string): (RowKey & { readonly index: number }) | undefined {
  const [, partition, row, index] = cursorForm.exec(cursor) ?? [];
  if (partition === undefined || row === undefined || index === undefined) return undefined;
  return { partition, row, index: Number(index) };
}
