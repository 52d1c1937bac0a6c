import type { BrokerEvent } from '../domain/event.ts';
import type { Server } from '../domain/server.ts';
import { toRfc3339 } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';

/** The event that tells of a change of state; none where the state is the same. */
export function stateEvent(before: Server, after: Server, time: Instant, id: string): readonly BrokerEvent[] {
  if (before.state === after.state) return [];
  const { clock } = after;
  const times = clock && {
    firstDenialAt: toRfc3339(clock.firstDenialAt),
    inaccessibleAt: toRfc3339(clock.inaccessibleAt),
    healsUntil: toRfc3339(clock.healsUntil),
  };
  const data = { from: before.state, to: after.state, clock: times };
  return [{ id, type: 'keybroker.server.state', subject: after.name, time, data }];
}
