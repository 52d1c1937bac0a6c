import type { DeliveryState } from '../domain/delivery.ts';
import { instant } from '../domain/time.ts';
import type { WebhookTarget } from '../ports/webhooks.ts';
import type { DeliveryParts } from './deliver-events.ts';
import type { DeadEvent, Undelivered, WebhookStatus } from './fleet-views.ts';
import { readUnheard } from './unheard-events.ts';

/** More is not counted: whoever reads a thousand knows enough. */
const mostCounted = 1000;
/** Of each webhook so many dead letters are listed. */
const deadListed = 20;

/** What the webhooks have not heard, and why. Rejects with `StoreAway`. */
export function createUndelivered({
  deliveries,
  events,
  webhooks,
}: Pick<DeliveryParts, 'deliveries' | 'events' | 'webhooks'>): () => Promise<Undelivered> {
  async function statusOf({ name, host, address }: WebhookTarget): Promise<WebhookStatus> {
    const state = await deliveries.read(name);
    if (state === undefined) return { name, host, state: 'waiting', since: null, reason: null, count: 0, oldestAt: null, dead: 0 };
    const { fresh } = await readUnheard(events, state, mostCounted);
    const times = [...fresh, ...state.held.map(({ event }) => event)].map(({ time }) => time);
    return {
      name,
      host,
      ...(state.address === address ? standing(state) : working),
      count: times.length,
      oldestAt: times.length === 0 ? null : instant(Math.min(...times)),
      dead: state.deadLetters,
    };
  }

  async function deadOf({ name }: WebhookTarget): Promise<readonly DeadEvent[]> {
    const letters = await deliveries.deadLetters(name, deadListed);
    return letters.map(({ event: { id, type, subject, time }, diedAt, reason }) => ({
      webhook: name,
      id,
      type,
      subject,
      time,
      diedAt,
      reason,
    }));
  }

  return async () => {
    const each = await Promise.all(webhooks.targets.map(statusOf));
    const dead = await Promise.all(webhooks.targets.map(deadOf));
    const oldest = each.flatMap(({ oldestAt }) => (oldestAt === null ? [] : [oldestAt]));
    return {
      count: each.reduce((sum, one) => sum + one.count, 0),
      oldestAt: oldest.length === 0 ? null : instant(Math.min(...oldest)),
      dead: each.reduce((sum, one) => sum + one.dead, 0),
      webhooks: each,
      deadLetters: dead.flat(),
    };
  };
}

const working = { state: 'working', since: null, reason: null } as const;

function standing({ failing, held, stoppedAt }: DeliveryState): Pick<WebhookStatus, 'state' | 'since' | 'reason'> {
  if (stoppedAt !== null)
    return { state: 'stopped', since: stoppedAt, reason: 'the receiver answered 410: nothing is sent there any more' };
  if (failing !== null) return { state: 'failing', since: failing.since, reason: failing.reason };
  const refused = held.find((one) => one.failing !== null)?.failing ?? null;
  return refused === null ? working : { state: 'refusing', since: refused.since, reason: refused.reason };
}
