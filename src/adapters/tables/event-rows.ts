import type { BrokerEvent } from '../../domain/event.ts';
import { days, instant, toRfc3339, type Instant } from '../../domain/time.ts';
import { hashKey, jsonColumns, timeKey } from './rows.ts';
import type { Row } from './table.ts';

/** An event with its row key in the log. */
export interface KeyedEvent {
  readonly key: string;
  readonly event: BrokerEvent;
}

/** Row keys of the log, as the source of a regular expression. */
export const eventKeyForm = String.raw`\d{15}(?:~\d{2})?:[A-Za-z0-9_-]{22}`;

/*
 * Rollout, double event keys: an older broker published what it swept under the key without a number, whatever key it had waited under. Where
 * that is an event that a newer one announced, both may store it, and the log holds it twice. Readers know events by their id.
 */

/**
 * By time, by its number among the events of its change, and by id, so that an event stored twice is stored once. The first of a change, and
 * one without a change, has no number: so were the keys of all events once, and `:` sorts before `~`.
 */
export function eventKey({ time, id }: BrokerEvent, number = 0): string {
  return `${timeKey(time)}${number === 0 ? '' : `~${String(number).padStart(2, '0')}`}:${hashKey(id)}`;
}

/** The events of one change in its order, which they keep where their times are equal (P2). One transaction holds less than 100. */
export function inOrderOfChange(events: readonly BrokerEvent[]): readonly KeyedEvent[] {
  return events.map((event, number) => ({ key: eventKey(event, number), event }));
}

/** The row of an event in the log: a partition a day. */
export function eventRow({ key, event }: KeyedEvent): Row {
  return { partition: dayOf(event.time), row: key, columns: jsonColumns(event) };
}

/** The partition of the events of a day, UTC. */
export function dayOf(ms: number): string {
  return toRfc3339(instant(ms)).slice(0, 10);
}

/** Nobody who follows the log looks back further (P2): what has waited longer is not told of, lest it hide what waits since. */
const waitedFor = days(3);

/** The oldest time of row keys that begin with one, of those that are still waited for; null: there is none. */
export function oldestWaitedFor(keys: Iterable<string>, now: Instant): Instant | null {
  const times = [...keys].filter((key) => key >= timeKey(now - waitedFor)).map((key) => Number.parseInt(key, 10));
  const known = times.filter(Number.isFinite);
  return known.length === 0 ? null : instant(Math.min(...known));
}
