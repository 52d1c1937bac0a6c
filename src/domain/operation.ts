import type { KeyId, Thumbprint } from './key.ts';
import type { Attempt, RefusalCode } from './refusal.ts';
import type { Instant, Millis } from './time.ts';

export type OperationName = 'wrap' | 'unwrap' | 'rewrap';

/** What is left of one key operation (P3), of one standby in a drill, or of a batch that was refused as a whole. Never a key byte. */
export interface OperationRecord {
  readonly at: Instant;
  readonly requestId: string;
  readonly server: string;
  /** Null of a drill, which is of the whole server, and of a batch that was refused as a whole. */
  readonly database: string | null;
  /** How many items a batch had that was refused as a whole; absent of all else, and where its body was not read. */
  readonly items?: number;
  /** Object id of the caller. */
  readonly caller: string;
  /** `batch`: one of which nothing more is known, since it was refused before its body was read. */
  readonly operation: OperationName | 'drill' | 'batch';
  /** The key that served, or that was tried last; null if none was. */
  readonly keyId: KeyId | null;
  readonly thumbprint: Thumbprint | null;
  readonly vault: string | null;
  readonly role: 'primary' | 'standby' | null;
  readonly outcome: 'ok' | RefusalCode;
  readonly attempts: readonly Attempt[];
  readonly latencyMs: Millis;
}

/** A record with its place in the gapless sequence of the instance that wrote it: a hole, or an end below what callers were told, shows what a kill lost. */
export interface NumberedRecord extends OperationRecord {
  readonly instance: string;
  /** From 1, without gaps. */
  readonly number: number;
}
