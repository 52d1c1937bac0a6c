import type { Trace } from '../domain/caller.ts';
import type { OperationName } from '../domain/operation.ts';
import type { Attempt, RefusalCode } from '../domain/refusal.ts';
import type { Instant, Millis } from '../domain/time.ts';

/** What a key operation came to, for metrics and its span. Names only: no id of a caller, no key id, never a key byte (C4). */
export interface EndedOperation {
  readonly operation: OperationName;
  readonly server: string;
  readonly database: string;
  readonly outcome: 'ok' | RefusalCode;
  /** Of the last attempt; null where no vault was tried. */
  readonly class: Attempt['class'] | null;
  /** That served, or was tried last; null where none was. */
  readonly vault: string | null;
  /** Served by a standby. */
  readonly failover: boolean;
  readonly beganAt: Instant;
  readonly took: Millis;
  readonly trace: Trace | null;
}

/** What is counted at the end of each operation: units by UCUM, names by OpenTelemetry's conventions. */
export const measures = {
  'keybroker.operations': { unit: '{operation}', description: 'key operations that ended, by what they came to' },
  'keybroker.operation.duration': { unit: 's', description: 'from the authorised request to the answer' },
} as const;

/** What is read, not counted. */
export const readings = {
  'keybroker.circuit.state': { unit: '1', description: "1 for the state of this instance's circuit to the vault, 0 for the others" },
  'keybroker.queue.length': { unit: '{call}', description: 'calls of this instance that wait for the rate budget of the vault' },
  'keybroker.records.waiting': { unit: '{record}', description: 'operation records of this instance that are not stored yet' },
  'keybroker.records.spilled': { unit: '{record}', description: 'operation records of this instance that went to the log alone' },
  'keybroker.budget.used': { unit: '{point}', description: 'points of the budget of the vault that are used' },
  'keybroker.budget.limit': { unit: '{point}', description: 'points that the budget of the vault has' },
  'keybroker.latches': { unit: '{latch}', description: 'links of the vault that deny unwrap' },
  'keybroker.servers': { unit: '{server}', description: 'servers by state' },
  'keybroker.audit.findings': { unit: '{finding}', description: 'what the newest permission audit found' },
  'keybroker.outbox.age': { unit: 's', description: 'how long the oldest event waits for its webhook' },
  'keybroker.outbox.events': { unit: '{event}', description: 'events that a webhook has not taken yet' },
} as const;

/** The only attributes that a reading may have: all of them names of the fleet, or words of a closed list. */
export type ReadingAttribute =
  | 'keybroker.vault'
  | 'keybroker.circuit.state'
  | 'keybroker.budget'
  | 'keybroker.latch.status'
  | 'keybroker.server.state'
  | 'keybroker.finding.severity';

export interface Reading {
  readonly name: keyof typeof readings;
  readonly value: number;
  readonly attributes: Readonly<Partial<Record<ReadingAttribute, string>>>;
}

/** Metrics and traces. No method throws, waits or reaches the network by itself: a collector that is away holds up nothing. */
export interface Telemetry {
  /** False: nobody listens, and nothing need be measured. */
  readonly listens: boolean;
  operated(ended: EndedOperation): void;
  /** `read` is called at each export, synchronously; what it does not name any more is not exported any more. */
  observe(read: () => readonly Reading[]): void;
  /** Sends what waits. Resolves within a few seconds, whatever the collector does. */
  close(): Promise<void>;
}

/** Where nothing is exported. */
export const noTelemetry: Telemetry = {
  listens: false,
  operated: () => undefined,
  observe: () => undefined,
  close: () => Promise.resolve(),
};
