import type { Instant } from '../../../src/domain/time.ts';
import type { RegisteredServer } from '../../../src/domain/server.ts';
import { refOf } from '../world/fleet.ts';
import type { Bench, Law } from './law.ts';

/**
 * A1–A4: never back online without an unwrap at the protector that was sent after the denial which started the clock, and never out of online
 * but by a denial at the protector.
 */
export function backOnlineByUnwrap({ history, counts, breaks }: Bench): Law {
  /** True time of the unwrap that was denied at this moment, by the clock of who met it. */
  function deniedAt(receivedAt: Instant | undefined, keyId?: string): number | undefined {
    return history.denials.find(
      ({ call }) => call.operation === 'unwrapKey' && call.receivedAt === receivedAt && (keyId === undefined || call.keyId === keyId),
    )?.knownAt;
  }

  function comesOnline(before: RegisteredServer, after: RegisteredServer): void {
    counts.backOnline += 1;
    const { name, clock, state } = before.server;
    const protector = after.links.find((one) => one.role === 'protector');
    const since = state === 'pendingValidation' ? 0 : (deniedAt(clock?.firstDenialAt) ?? -Infinity);
    if (
      protector === undefined ||
      (clock === null && state !== 'pendingValidation') ||
      !history.provenSince(refOf(after, protector), since)
    )
      breaks('A2', `${name} is online again without an unwrap at its protector`);
  }

  function leavesOnline({ server: { name, clock }, links }: RegisteredServer): void {
    const protector = links.find((one) => one.role === 'protector')!;
    if (deniedAt(clock?.firstDenialAt, protector.keyId) === undefined && !history.toldDeleted(protector.vault))
      breaks('A4', `${name} leaves online without a denial at its protector`);
  }

  return {
    server(before, after, events) {
      if (before === undefined || after === undefined) return;
      const [was, is] = [before.server.state, after.server.state];
      const protectors = [before, after].map(({ links }) => links.find(({ role }) => role === 'protector')?.keyId);
      if (protectors[0] !== protectors[1]) counts.protectorsChanged += 1;
      if (was === is) return;
      const { name } = before.server;
      if (!events.some((event) => event.type === 'keybroker.server.state' && event.subject === name && event.data['to'] === is))
        breaks('P2', `${name} goes from ${was} to ${is} without an event`);
      if (was === 'online') leavesOnline(after);
      if (is === 'online') comesOnline(before, after);
    },
  };
}
