import type { DeliveryState } from '../domain/delivery.ts';
import { instant, plus } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import {
  atAddress,
  due,
  eventsPerPass,
  firstGap,
  firstState,
  isIdle,
  leased,
  leaseLasts,
  mostSettled,
  nextFrom,
  stillSettled,
} from '../policy/delivery.ts';
import type { Swept } from '../policy/delivery.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import type { WebhookTarget } from '../ports/webhooks.ts';
import { DeliveryPass, type PassEnd } from './delivery-pass.ts';
import type { Parts } from './parts.ts';
import { readUnheard, type Unheard } from './unheard-events.ts';

/** What the delivery of events is built from. */
export type DeliveryParts = Pick<Parts, 'clock' | 'deliveries' | 'events' | 'log' | 'webhooks'>;

/** Delivers events to the webhooks (P2). Each has its own cursor, lease and failures, so that a dead one slows no other. */
export interface Delivery {
  /** One pass over each webhook; resolves when all are over. Never rejects. What is called while a pass is under way is followed by one more. */
  deliver(): Promise<void>;
  /**
   * Publishes what killed instances announced. Where that succeeds, what is older than some minutes cannot arrive any more; where it does
   * not, webhooks are asked to hear all the same. Rejects with nothing but a defect.
   */
  sweep(): Promise<void>;
}

export function createDelivery(parts: DeliveryParts): Delivery {
  const { clock, events, log, webhooks } = parts;
  /** A webhook that nobody knew before hears what happens from here on. */
  const startedAt = clock.now();
  let swept: Swept | null = null;

  /** One pass at a time, and one more after it where that was asked for meanwhile. */
  function passesOf(target: WebhookTarget): () => Promise<void> {
    let running: Promise<void> | undefined;
    let wanted = 0;
    let begun = 0;
    const tell = createTell(parts.log, target);

    async function run(): Promise<void> {
      while (begun < wanted) {
        begun = wanted;
        await pass(parts, target, { startedAt, swept }).then(tell.well, tell.wrong);
      }
    }

    return () => {
      wanted += 1;
      running ??= run().finally(() => (running = undefined));
      return running;
    };
  }

  const passes = webhooks.targets.map(passesOf);
  return {
    async deliver() {
      await Promise.all(passes.map((pass) => pass()));
    },
    async sweep() {
      const at = clock.now();
      try {
        swept = { at, unpublishedSince: await events.sweep() };
      } catch (error) {
        if (!(error instanceof StoreAway)) throw error;
        log('warn', 'the sweep of announced events waits for the store');
      }
    },
  };
}

interface Times {
  readonly startedAt: Instant;
  readonly swept: Swept | null;
}

/** Nobody waits for a pass: what goes wrong can only be told to the log, and the next pass tries again. What somebody must mend is told once. */
function createTell(log: DeliveryParts['log'], { name: webhook }: WebhookTarget): { well: () => void; wrong: (error: unknown) => void } {
  let told: string | null = null;
  return {
    well: () => (told = null),
    wrong(error) {
      if (error instanceof Unreadable) {
        if (told !== error.message)
          log('error', 'the delivery to a webhook waits: a row cannot be read', { webhook, reason: error.message });
        told = error.message;
      } else if (error instanceof StoreAway) log('warn', 'the delivery to a webhook waits for the store', { webhook });
      else log('error', 'the delivery to a webhook failed by a defect', { webhook, name: nameOf(error) });
    },
  };
}

/** Takes the lease, sends, and stores how far it came on condition that the lease is still its own. */
async function pass(parts: DeliveryParts, target: WebhookTarget, { startedAt, swept }: Times): Promise<void> {
  const { clock, deliveries, log } = parts;
  const seen = await deliveries.read(target.name);
  if (seen?.address === target.address) {
    const { fresh } = upToGap(await readUnheard(parts.events, seen, 1), clock.now());
    if (isIdle(seen, fresh, clock.now())) return;
  }
  const holder = clock.uuid();
  const taken = await takeLease(parts, target, { holder, startedAt });
  if (taken === undefined) return;
  const unheard = await readUnheard(parts.events, taken, Math.min(eventsPerPass, mostSettled - taken.settled.length));
  const found = upToGap(unheard, clock.now());
  const send = new DeliveryPass(parts, target, taken);
  const end = await send.run(found.fresh);
  if (end.dead.length > 0) await deliveries.bury(target.name, end.dead);
  const next = stateAfter(end, found, swept);
  await deliveries.change(target.name, (stored) => (stored?.lease?.holder === holder ? next : null));
  if (end.dead.length > 0) log('error', 'events were given up', { webhook: target.name, events: end.dead.length });
  if (next.stoppedAt !== taken.stoppedAt) {
    log('error', 'a webhook answered 410: nothing is sent there until its URL or the origin is another', { webhook: target.name });
  }
}

/** @returns the state with our lease; undefined where there is nothing to do, or another instance delivers. */
async function takeLease(
  { clock, deliveries }: DeliveryParts,
  target: WebhookTarget,
  { holder, startedAt }: { readonly holder: string; readonly startedAt: Instant },
): Promise<DeliveryState | undefined> {
  return deliveries.change(target.name, (stored) => {
    const now = clock.now();
    const state = atAddress(stored ?? firstState(target.address, startedAt), target.address);
    if (leased(state, now) || !due(state.failing, now)) return null;
    return { ...state, lease: { holder, until: plus(now, leaseLasts) } };
  });
}

/**
 * Without what lies behind an event that cannot be read, while that may be of the same subject and a newer instance may tell of it. None of
 * it is passed over: the log is read from `arrivesWithin` back in any case, and it waits no longer than that.
 */
function upToGap({ fresh, unreadFrom, unreadable }: Unheard, now: Instant): Unheard {
  const gap = firstGap(unreadable, now);
  if (gap === null) return { fresh, unreadFrom, unreadable };
  return { fresh: fresh.filter(({ time }) => time < gap), unreadFrom, unreadable };
}

function stateAfter({ state, left }: PassEnd, { unreadFrom, unreadable }: Unheard, swept: Swept | null): DeliveryState {
  const open = [left, unreadFrom].filter((at) => at !== null);
  const from = nextFrom(state, { left: open.length === 0 ? null : instant(Math.min(...open)), unreadable }, swept);
  return { ...state, from, settled: stillSettled(state.settled, from), lease: null };
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
