import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { BrokerEvent } from '../../src/domain/event.ts';
import { anEvent, aRegistered } from '../support/stored-values.ts';
import { allEvents } from './event-log.ts';
import type { RegistryInstance, RegistryRig } from './registry.ts';

/** P2: how the events of a server's change come into the log. A part of the registry's contract. */
export function describeEventsOfChanges(factory: () => Promise<RegistryRig>): void {
  describe('events of changes', () => {
    let a: RegistryInstance;
    let b: RegistryInstance;
    beforeEach(async () => {
      const rig = await factory();
      a = rig.open();
      b = rig.open();
    });

    it('removing an unknown server changes nothing', async () => {
      expect(await a.registry.changeServer('unknown', () => ({ next: null, events: [anEvent('e')] }))).toBeUndefined();
      expect((await a.events.page({ after: null, limit: 10, since: null, subject: null })).items).toEqual([]);
    });

    it('P2: the events of a change reach the event log', async () => {
      const events: readonly BrokerEvent[] = [anEvent('one'), anEvent('two', { data: { text: 'it\'s "quoted" {braces}\r\n é 😀' } })];
      await a.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events }));
      await vi.waitFor(async () => {
        const { items } = await b.events.page({ after: null, limit: 10, since: null, subject: 'sql-demo' });
        expect(items).toEqual(events);
      });
      expect(await b.registry.readServer('sql-demo')).toEqual({ ...aRegistered('sql-demo'), revision: 1 });
    });

    it('P2: events of one change and one time are told in its order, also page by page', async () => {
      const events = Array.from({ length: 12 }, (_unused, number) => anEvent(`e${String((number * 5) % 12)}`));
      await a.registry.changeServer('sql-demo', () => ({ next: aRegistered('sql-demo'), events }));
      await vi.waitFor(async () => expect(await allEvents(b.events, 100)).toHaveLength(12));
      for (const limit of [1, 5, 100]) expect(await allEvents(b.events, limit)).toEqual(events);
    });
  });
}
