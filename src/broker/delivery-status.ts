import type { DeadLetter, DeliveryState } from '../domain/delivery.ts';
import { instant } from '../domain/time.ts';
import { mostLastDead } from '../policy/delivery.ts';
import { Unreadable } from '../ports/store.ts';
import type { WebhookTarget } from '../ports/webhooks.ts';
import type { DeliveryParts } from './deliver-events.ts';
import type { DeadEvent, Undelivered, WebhookStatus } from './fleet-views.ts';
import { readUnheard } from './unheard-events.ts';

/** More is not counted: whoever reads a thousand knows enough. */
const mostCounted = 1000;
const nothing = { since: null, reason: null, count: 0, oldestAt: null, dead: 0 } as const;

/** One webhook, with the last of its dead letters, the newest first. */
interface Seen {
  readonly webhook: WebhookStatus;
  readonly dead: readonly DeadLetter[];
}

/** What the webhooks have not heard, and why. Rejects with `StoreAway`; what cannot be read costs its own webhook alone. */
export function createUndelivered({
  deliveries,
  events,
  webhooks,
}: Pick<DeliveryParts, 'deliveries' | 'events' | 'webhooks'>): () => Promise<Undelivered> {
  /** Of rows that are older than `lastDead`: what they do not list changes no more, and is read once. */
  const unlisted = new Map<string, readonly DeadLetter[]>();

  async function lastDead(name: string, { deadLetters, lastDead: listed }: DeliveryState): Promise<readonly DeadLetter[]> {
    if (listed !== undefined || deadLetters === 0) return listed ?? [];
    const key = `${name}:${deadLetters}`;
    const known = unlisted.get(key) ?? (await deliveries.deadLetters(name, mostLastDead));
    unlisted.set(key, known);
    return known;
  }

  async function see({ name, host, address }: WebhookTarget): Promise<Seen> {
    const state = await deliveries.read(name);
    if (state === undefined) return { webhook: { name, host, state: 'waiting', ...nothing }, dead: [] };
    const { fresh, unreadable } = await readUnheard(events, state, mostCounted);
    const times = [...[...fresh, ...state.held.map(({ event }) => event)].map(({ time }) => time), ...unreadable.slice(0, 1)];
    const webhook = {
      name,
      host,
      ...(state.address === address ? standing(state) : working),
      count: fresh.length + state.held.length + unreadable.length,
      oldestAt: times.length === 0 ? null : instant(Math.min(...times)),
      dead: state.deadLetters,
    };
    return { webhook, dead: (await lastDead(name, state)).toReversed() };
  }

  async function seeIfReadable(target: WebhookTarget): Promise<Seen> {
    try {
      return await see(target);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      const { name, host } = target;
      return { webhook: { name, host, state: 'unknown', ...nothing, reason: error.message }, dead: [] };
    }
  }

  return async () => {
    const seen = await Promise.all(webhooks.targets.map(seeIfReadable));
    const each = seen.map(({ webhook }) => webhook);
    const oldest = each.flatMap(({ oldestAt }) => (oldestAt === null ? [] : [oldestAt]));
    return {
      count: each.reduce((sum, one) => sum + one.count, 0),
      oldestAt: oldest.length === 0 ? null : instant(Math.min(...oldest)),
      dead: each.reduce((sum, one) => sum + one.dead, 0),
      webhooks: each,
      deadLetters: seen.flatMap(({ webhook, dead }) => dead.map((letter) => viewDead(webhook.name, letter))),
    };
  };
}

function viewDead(webhook: string, { event: { id, type, subject, time }, diedAt, reason }: DeadLetter): DeadEvent {
  return { webhook, id, type, subject, time, diedAt, reason };
}

const goneFor =
  'the receiver answered 410: nothing is sent there until its URL or KEYBROKER_WEBHOOK_ORIGIN is another; what waits for three days is given up';
const working = { state: 'working', since: null, reason: null } as const;

function standing({ failing, held, stoppedAt }: DeliveryState): Pick<WebhookStatus, 'state' | 'since' | 'reason'> {
  if (stoppedAt !== null) return { state: 'stopped', since: stoppedAt, reason: goneFor };
  if (failing !== null) return { state: 'failing', since: failing.since, reason: failing.reason };
  const refused = held.find((one) => one.failing !== null)?.failing ?? null;
  return refused === null ? working : { state: 'refusing', since: refused.since, reason: refused.reason };
}
