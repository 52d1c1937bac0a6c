import type { OperationRecord } from '../../domain/operation.ts';
import type { Attempt } from '../../domain/refusal.ts';
import { millis } from '../../domain/time.ts';

/** A record that waits, and its number. */
export interface Waiting {
  readonly number: number;
  readonly record: OperationRecord;
}

/** Records with successive numbers, as one row has them. */
export interface RecordRun {
  /** Number of the first. */
  readonly from: number;
  readonly size: number;
  readonly json: string;
}

/**
 * A record as a run tells it: fields that are as in the record before it are left out, and an attempt that differs from the one at its place
 * there in its time alone is that time. Records of one time are much alike: those of a batch need a quarter of their characters.
 */
type StoredRecord = Partial<Omit<OperationRecord, 'attempts'>> & { readonly attempts: readonly (Attempt | number)[] };

type OptionalField<T> = { [Field in keyof T]-?: object extends Pick<T, Field> ? Field : never }[keyof T];

/** What not every record has is told of each that has it. */
const neverInherited: Readonly<Record<OptionalField<OperationRecord>, true>> = { items: true };

/** What two attempts that differ in their time alone have in common. */
const besideTime: Readonly<Record<Exclude<keyof Attempt, 'ms'>, true>> = {
  vault: true,
  role: true,
  class: true,
  status: true,
  vaultCode: true,
};

/** Characters of JSON a row: with two bytes each it stays below 900 KiB, and Tables takes 1 MiB. */
const charactersPerRow = 450_000;

/** The longest run from the front of the queue that fits into one row and has no hole in its numbers; undefined where nothing waits. */
export function firstRun(queue: readonly Waiting[]): RecordRun | undefined {
  const from = queue[0]?.number;
  if (from === undefined) return undefined;
  const parts: string[] = [];
  let characters = 2;
  let before: OperationRecord | undefined;
  for (const { number, record } of queue) {
    const json = JSON.stringify(before === undefined ? record : differences(record, before));
    characters += json.length + 1;
    if (number !== from + parts.length || (parts.length > 0 && characters > charactersPerRow)) break;
    parts.push(json);
    before = record;
  }
  return { from, size: parts.length, json: `[${parts.join(',')}]` };
}

/** The records of a run, also of one of schema 2, whose records are all whole. Undefined where it is none. */
export function readRun(run: unknown): readonly OperationRecord[] | undefined {
  if (!Array.isArray(run)) return undefined;
  const records: OperationRecord[] = [];
  for (const stored of run) {
    const before = records.at(-1);
    const attempts = isRecord(stored) ? attemptsOf(stored, before?.attempts ?? []) : undefined;
    if (attempts === undefined) return undefined;
    const record = { ...inheritedFrom(before), ...(stored as StoredRecord), attempts };
    if (!isWhole(record)) return undefined;
    records.push(record);
  }
  return records;
}

function isRecord(stored: unknown): stored is StoredRecord {
  return typeof stored === 'object' && stored !== null && 'attempts' in stored && Array.isArray(stored.attempts);
}

/** The first of a run has all fields, and so have those that follow. */
function isWhole(record: Partial<OperationRecord>): record is OperationRecord {
  return typeof record.at === 'number' && typeof record.requestId === 'string' && typeof record.server === 'string';
}

function inheritedFrom(before: OperationRecord | undefined): Partial<OperationRecord> {
  return Object.fromEntries(Object.entries(before ?? {}).filter(([field]) => !(field in neverInherited)));
}

/** Undefined where one is neither an attempt nor the time of one that has its like before it. */
function attemptsOf({ attempts }: StoredRecord, before: readonly Attempt[]): readonly Attempt[] | undefined {
  const read: Attempt[] = [];
  for (const [index, attempt] of attempts.entries()) {
    const like = before[index];
    if (typeof attempt === 'object' && (attempt as unknown) !== null) read.push(attempt);
    else if (typeof attempt === 'number' && like !== undefined) read.push({ ...like, ms: millis(attempt) });
    else return undefined;
  }
  return read;
}

function differences(record: OperationRecord, before: OperationRecord): StoredRecord {
  const different: Partial<Record<keyof OperationRecord, unknown>> = {};
  let field: keyof OperationRecord;
  for (field in record) {
    if (field in neverInherited || record[field] !== before[field]) different[field] = record[field];
  }
  const attempts = record.attempts.map((attempt, index) => (differsInTimeAlone(attempt, before.attempts[index]) ? attempt.ms : attempt));
  return { ...(different as Partial<OperationRecord>), attempts };
}

function differsInTimeAlone(attempt: Attempt, before: Attempt | undefined): boolean {
  if (before === undefined) return false;
  let field: keyof typeof besideTime;
  for (field in besideTime) if (attempt[field] !== before[field]) return false;
  return true;
}
