import type { RequestContext } from '../domain/caller.ts';
import type { OperationRecord } from '../domain/operation.ts';
import { refuse } from '../domain/refusal.ts';
import type { Attempt } from '../domain/refusal.ts';
import type { Link } from '../domain/server.ts';
import { millis, rounded } from '../domain/time.ts';
import type { Parts } from './parts.ts';

/** How an operation ended. */
export interface Ending {
  readonly link: Link | null;
  readonly outcome: OperationRecord['outcome'];
  readonly attempts: readonly Attempt[];
}

/** Begins a record; the function that it answers ends it, off the road of the answer, and tells its place (`{instance}/{number}`) or null if it can be kept nowhere (P3). */
export type KeepRecord = (
  operation: OperationRecord['operation'],
  target: Pick<OperationRecord, 'server' | 'database' | 'items'>,
  context: RequestContext,
) => (ending: Ending) => string | null;

export function createRecords({ clock, operations }: Pick<Parts, 'clock' | 'operations'>): KeepRecord {
  return (operation, { server, database, items }, { caller, requestId }) => {
    const at = clock.now();
    const began = clock.elapsed();
    return ({ link, outcome, attempts }) => {
      const number = operations.append({
        at,
        requestId,
        server,
        database,
        ...(items !== undefined && { items }),
        caller: caller.objectId,
        operation,
        keyId: link?.keyId ?? null,
        thumbprint: link?.thumbprint ?? null,
        vault: link?.vault ?? null,
        role: link === null ? null : link.standbyOf === null ? 'primary' : 'standby',
        outcome,
        attempts,
        latencyMs: rounded(millis(clock.elapsed() - began)),
      });
      return number === null ? null : `${operations.instance}/${number}`;
    };
  };
}

/** P3: only what can be recorded nowhere is refused for that. */
export function recordedNowhere(): ReturnType<typeof refuse> {
  return refuse('StateUnavailable', 'the record of the operation can be kept nowhere', { retryable: true });
}
