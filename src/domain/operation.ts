import type { KeyId, Thumbprint } from './key.ts';
import type { Attempt, RefusalCode } from './refusal.ts';
import type { Instant, Millis } from './time.ts';

export type OperationName = 'wrap' | 'unwrap' | 'rewrap';

/** What is left of one key operation (P3), or of one standby in a drill. Never a key byte. */
export interface OperationRecord {
  readonly at: Instant;
  readonly requestId: string;
  readonly server: string;
  /** Null of a drill, which is of the whole server. */
  readonly database: string | null;
  /** Object id of the caller. */
  readonly caller: string;
  readonly operation: OperationName | 'drill';
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
