import { beforeEach, describe, expect, it } from 'vitest';
import type { BrokerEvent } from '../../src/domain/event.ts';
import { instant, type Instant } from '../../src/domain/time.ts';
import type { EventLog } from '../../src/ports/events.ts';
import { anEvent, morning } from '../support/stored-values.ts';

const day = 86_400_000;

/** Reads all pages; also checks that none is larger than asked for. */
export async function allEvents(
  log: EventLog,
  limit: number,
  filter: { since?: number; subject?: string } = {},
): Promise<readonly BrokerEvent[]> {
  const items: BrokerEvent[] = [];
  let after: string | null = null;
  do {
    const page = await log.page({ after, limit, since: filter.since ?? null, subject: filter.subject ?? null });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    after = page.next;
  } while (after !== null);
  return items;
}

/** What all pages say that they lack. */
export async function unreadableOf(log: EventLog, limit: number): Promise<readonly Instant[]> {
  const unreadable: Instant[] = [];
  let after: string | null = null;
  do {
    const page = await log.page({ after, limit, since: null, subject: null });
    unreadable.push(...page.unreadable);
    after = page.next;
  } while (after !== null);
  return unreadable;
}

export function describeEventLog(name: string, factory: () => Promise<() => EventLog>): void {
  describe(`event log: ${name}`, () => {
    let a: EventLog;
    let b: EventLog;
    beforeEach(async () => {
      const open = await factory();
      a = open();
      b = open();
    });

    it('an empty log is one empty page', async () => {
      expect(await a.page({ after: null, limit: 10, since: null, subject: null })).toEqual({ items: [], next: null, unreadable: [] });
    });

    it('events come oldest first, over days, whoever stored them and in whatever order', async () => {
      const events = [0, 1, 2, 3, 4, 5, 6].map((number) => anEvent(`e${number}`, { time: instant(morning + number * (day / 2)) }));
      await a.publish([events[4]!, events[0]!, events[6]!]);
      await b.publish([events[5]!, events[2]!, events[1]!, events[3]!]);
      for (const limit of [1, 2, 7, 100]) expect(await allEvents(b, limit)).toEqual(events);
    });

    it('P2: an event stored twice is there once', async () => {
      await a.publish([anEvent('one'), anEvent('one')]);
      await b.publish([anEvent('one')]);
      expect(await allEvents(a, 10)).toEqual([anEvent('one')]);
    });

    it('more events than a transaction takes are all stored', async () => {
      const events = Array.from({ length: 230 }, (_, number) => anEvent(`e${number}`, { time: instant(morning + number) }));
      await a.publish(events);
      expect(await allEvents(a, 100)).toEqual(events);
    });

    it('since includes its own moment; subject leaves out all others; both hold over pages', async () => {
      const events = Array.from({ length: 40 }, (_, number) =>
        anEvent(`e${number}`, { time: instant(morning + (number * day) / 10), subject: number % 4 === 0 ? 'sql-a' : 'sql-b' }),
      );
      await a.publish(events);
      const since = morning + day;
      expect(await allEvents(a, 3, { since, subject: 'sql-a' })).toEqual(
        events.filter((event) => event.time >= since && event.subject === 'sql-a'),
      );
    });

    it('a page is not disturbed by events that arrive behind it', async () => {
      const events = Array.from({ length: 4 }, (_, number) => anEvent(`e${number}`, { time: instant(morning + number) }));
      await a.publish(events.slice(0, 3));
      const first = await a.page({ after: null, limit: 2, since: null, subject: null });
      await b.publish(events.slice(3));
      const second = await a.page({ after: first.next, limit: 10, since: null, subject: null });
      expect([...first.items, ...second.items]).toEqual(events);
    });

    it('an event keeps its data whole', async () => {
      const event = anEvent('odd', { data: { text: 'é 😀 "\\ \u0001', nested: { list: [1, null, true] }, large: 'x'.repeat(70_000) } });
      await a.publish([event]);
      expect(await allEvents(b, 10)).toEqual([event]);
    });
  });
}
