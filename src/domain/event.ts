import { toRfc3339 } from './time.ts';
import type { Instant } from './time.ts';

/** Types of events (design 5.1). */
export const eventTypes = [
  'keybroker.latch.suspected',
  'keybroker.latch.confirmed',
  'keybroker.latch.released',
  'keybroker.server.state',
  'keybroker.circuit.opened',
  'keybroker.circuit.closed',
  'keybroker.failover.started',
  'keybroker.failover.ended',
  'keybroker.audit.finding',
  'keybroker.audit.completed',
  'keybroker.budget.tight',
  'keybroker.protector.changed',
] as const;
export type EventType = (typeof eventTypes)[number];

/** Something that happened, before it is dressed as a CloudEvent. `id` makes storing it twice harmless. */
export interface BrokerEvent {
  readonly id: string;
  readonly type: EventType;
  /** Name of the server or vault that it tells of. */
  readonly subject: string;
  readonly time: Instant;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A CloudEvent 1.0 in JSON format. `source` names the deployment. */
export function toCloudEvent(event: BrokerEvent, source: string) {
  return {
    specversion: '1.0' as const,
    id: event.id,
    source,
    type: event.type,
    subject: event.subject,
    time: toRfc3339(event.time),
    datacontenttype: 'application/json' as const,
    data: event.data,
  };
}
