import type { OperationRecord } from '../../domain/operation.ts';
import type { Attempt } from '../../domain/refusal.ts';

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
export type StoredRecord = Partial<Omit<OperationRecord, 'attempts'>> & { readonly attempts: readonly (Attempt | number)[] };

/** Characters of JSON a row: with two bytes each it stays below 900 KiB, and Tables takes 1 MiB. */
const charactersPerRow = 450_000;

/** The longest run from the front of the queue that fits into one row and has no hole in its numbers; undefined where nothing waits. */
export function firstRun(queue: readonly Waiting[]): RecordRun | undefined {
  const from = queue[0]?.number;
  if (from === undefined) return undefined;
  const told: string[] = [];
  let characters = 2;
  let before: OperationRecord | undefined;
  for (const { number, record } of queue) {
    const json = JSON.stringify(before === undefined ? record : differences(record, before));
    characters += json.length + 1;
    if (number !== from + told.length || (told.length > 0 && characters > charactersPerRow)) break;
    told.push(json);
    before = record;
  }
  return { from, size: told.length, json: `[${told.join(',')}]` };
}

/** What a run tells, also one of schema 2, whose records are all whole. */
export function readRun(stored: readonly StoredRecord[]): readonly OperationRecord[] {
  let before: OperationRecord | undefined;
  return stored.map((one) => {
    // What not every record has is told of each that has it.
    const { items: _, ...inherited } = before ?? ({} as OperationRecord);
    const attempts = one.attempts.map((attempt, index) =>
      typeof attempt === 'number' ? ({ ...inherited.attempts[index], ms: attempt } as Attempt) : attempt,
    );
    return (before = { ...inherited, ...one, attempts });
  });
}

function differences(record: OperationRecord, before: OperationRecord): StoredRecord {
  const different: Record<string, unknown> = {};
  let field: keyof OperationRecord;
  for (field in record) {
    if (field === 'items' || record[field] !== before[field]) different[field] = record[field];
  }
  const attempts = record.attempts.map((attempt, index) => (differsInTimeAlone(attempt, before.attempts[index]) ? attempt.ms : attempt));
  return { ...different, attempts };
}

function differsInTimeAlone(attempt: Attempt, before: Attempt | undefined): boolean {
  if (before === undefined) return false;
  let field: keyof Attempt;
  for (field in attempt) if (field !== 'ms' && attempt[field] !== before[field]) return false;
  return true;
}
