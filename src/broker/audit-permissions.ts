import { addCounts, nothingSeen, slotAt, slotByHand } from '../domain/audit.ts';
import type { Audit, AuditCounts, Slot } from '../domain/audit.ts';
import { hours, millis, span, toRfc3339 } from '../domain/time.ts';
import type { AuditPage } from '../ports/audit-store.ts';
import { StoreAway, Unreadable } from '../ports/store.ts';
import { createAuditPages, isFree } from './audit-pages.ts';
import type { Claim, Finished } from './audit-pages.ts';
import { behindTraffic } from './audit-pace.ts';
import type { AuditServer } from './audit-server.ts';
import { createAuditSubjects } from './audit-subjects.ts';
import type { AuditRun } from './audit-subjects.ts';
import { firstRenewal, oneAtATime, renewMs, scattered } from './audit-turns.ts';
import type { LetGo } from './link-calls.ts';
import { inTurns } from './in-turns.ts';
import type { Parts } from './parts.ts';

/*
 * P1: the permission audit. An audit is begun under its slot, cut into pages of servers by name, and worked off page by page:
 *
 *   begin (once a slot) ── cut (once a name) ── claim a page ── see its servers ── store each report with the page's progress ── …
 *                                                   ▲                                                                             │
 *                                                   └─── another instance, a restart, or the next run goes on here ◀──────────────┘
 *   no page has anything left ── finish (once)
 *
 * Whoever runs joins the oldest audit that has not ended; so the rest of one comes before the next, unless that rest waits for vaults that have
 * no room: then the next is not kept from what has.
 */
export interface AuditRuns {
  /** The audit of the timer's slot, begun if it was not, and what is left of others. Ends when all are done, or with the time for a run. Never rejects. */
  runSlot(): Promise<void>;
  /**
   * Begins an audit by hand. Its slot is the second: of several begun within one all are the same audit, while it runs. One that has ended
   * already saw nothing of what was mended since, so the audit is then begun with the next second. Rejects with `StoreAway`.
   */
  begin(): Promise<Audit>;
  /** Goes on with audits that have not ended, unless this instance is at it already. Never rejects. */
  goOn(): Promise<void>;
  /** The audits that have not ended, oldest first. Rejects with `StoreAway`. */
  unfinished(): Promise<readonly Audit[]>;
}

/**
 * So many pages at once, but no more than half of what is free, so that other instances find some: pages from all over the list of names, so
 * that vaults are worked on side by side, a slow one among them.
 */
const pagesAtOnce = 48;
/**
 * So many servers of a page at once. Those of a page mostly lie in one vault, of whose budget two or three use all that an audit may; more
 * would only wait, and what they hold meanwhile, and all begin at once when there is room, is felt by the traffic beside them.
 */
const serversAtOnce = 3;
/** While other instances hold all that is left, or vaults have no room, it is looked so often whether that has changed. */
const lookAgainMs = millis(5000);
/** An audit that did not end in so long is left as it is: later ones see the same servers. */
const abandonedAfter = hours(24);

export function createAuditRuns(parts: Parts, auditServer: AuditServer): AuditRuns {
  const { audits, clock, log, rules } = parts;
  const atStore = oneAtATime(parts);
  const pages = createAuditPages(atStore);
  const subjects = createAuditSubjects(atStore, auditServer);
  const told = new Set<Slot>();
  let running: Promise<void> | undefined;

  /** @returns how many servers of the page were reported on. */
  async function workOn(claim: Claim, run: AuditRun): Promise<number> {
    const { left } = claim.page;
    const reportOn = subjects.of(claim.page, run);
    const finished: Finished[] = [];
    const over = new AbortController();
    let reported = 0;
    const seeAll = async (): Promise<void> => {
      await untilAway(left, serversAtOnce, async (name) => {
        const report = await reportOn(name);
        if (report === undefined) return;
        finished.push(report);
        reported += 1;
      }).finally(() => over.abort());
    };
    const ends = await Promise.allSettled([seeAll(), keepSaving(claim, finished, over.signal)]);
    if (reported < left.length) await claim.release();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return reported;
  }

  /** Stores what is finished, and renews the claim by that, until all is seen; ends early where the claim was lost. */
  async function keepSaving(claim: Claim, finished: Finished[], over: AbortSignal): Promise<void> {
    let held = true;
    for (let pause = firstRenewal(claim.page); held && !over.aborted; pause = renewMs) {
      await clock.pause(pause, over);
      held = await claim.save(finished.splice(0));
    }
    if (held && finished.length > 0) await claim.save(finished);
  }

  /** Works once on every page of the audit that is free; ends the audit where nothing is left. */
  async function passOver(slot: Slot, end: number, letGo: LetGo): Promise<Pass> {
    // Killed while it was begun: it is listed, and no more.
    if ((await audits.read(slot)) === undefined) await begin(slot);
    await pages.cut(slot);
    const { previous = null, pages: cut = 0 } = (await audits.read(slot)) ?? {};
    const readable = await audits.pages(slot);
    const open = readable.filter(({ left }) => left.length > 0);
    if (open.length === 0) {
      if (readable.length < cut) throw new Unreadable(`${cut - readable.length} of its ${cut} parts cannot be read`);
      await finish(slot);
      return { wentOn: true, heldBack: false };
    }
    const free = open.filter((page) => isFree(page, clock.now()));
    let [reported, left] = [0, 0];
    await untilAway(scattered(free), Math.min(pagesAtOnce, Math.ceil(free.length / 2)), async (page) => {
      const claim = clock.elapsed() < end ? await pages.claim(slot, page) : null;
      if (claim === null) return;
      const done = await workOn(claim, { previous, letGo });
      reported += done;
      left += claim.page.left.length - done;
    });
    return { wentOn: reported > 0, heldBack: left > 0 };
  }

  /** @returns undefined where what is stored of the audit cannot be read: that holds up no other, and the log tells of it once. */
  async function passIfReadable(slot: Slot, end: number, letGo: LetGo): Promise<Pass | undefined> {
    try {
      return await passOver(slot, end, letGo);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      if (!told.has(slot)) log('error', 'a permission audit cannot go on', { audit: slot, reason: error.message });
      told.add(slot);
      return undefined;
    }
  }

  async function finish(slot: Slot): Promise<void> {
    const counts = sumOf(await audits.pages(slot));
    const now = clock.now();
    await audits.change(slot, (stored) => {
      if (stored.finishedAt !== null) return null;
      const { appeared, errors, links, resolved, servers, warnings } = counts;
      const data = { slot, startedAt: toRfc3339(stored.startedAt), servers, links, errors, warnings, new: appeared, resolved };
      return {
        next: { ...stored, finishedAt: now, counts },
        pages: [],
        events: [{ id: `audit-completed-${slot}`, type: 'keybroker.audit.completed', subject: slot, time: now, data }],
      };
    });
  }

  async function unfinished(): Promise<readonly Audit[]> {
    const { items } = await audits.list({ after: null, limit: 16 });
    return items.filter(({ startedAt, finishedAt }) => finishedAt === null && span(startedAt, clock.now()) < abandonedAfter).reverse();
  }

  async function workOffAll(): Promise<void> {
    const end = clock.elapsed() + rules.auditRunMs;
    const { letGo, full } = behindTraffic(parts, end);
    const unreadable = new Set<Slot>();
    for (;;) {
      const waiting = (await unfinished()).filter(({ slot }) => !unreadable.has(slot));
      if (waiting.length === 0) return;
      if (clock.elapsed() >= end) {
        const about = { audits: waiting.map(({ slot }) => slot), vaultsWithoutRoom: [...full].sort() };
        log('warn', 'the permission audit leaves its rest to the next run', about);
        return;
      }
      let wentOn = false;
      for (const { slot } of waiting) {
        const pass = await passIfReadable(slot, end, letGo);
        if (pass === undefined) unreadable.add(slot);
        wentOn ||= pass?.wentOn !== false;
        if (pass?.heldBack === false) break;
      }
      if (!wentOn) await clock.pause(millis(Math.min(lookAgainMs, Math.max(1, end - clock.elapsed()))));
    }
  }

  async function untilStoreAway(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      if (error instanceof Unreadable) log('error', `${what} cannot read what is stored`, { reason: error.message });
      else log('warn', `${what} waits for the store`);
    }
  }

  /** One run at a time; who asks meanwhile shares it. */
  function run(): Promise<void> {
    running ??= untilStoreAway('the permission audit', workOffAll).finally(() => (running = undefined));
    return running;
  }

  function begin(slot: Slot): Promise<Audit> {
    return audits.begin({ slot, startedAt: clock.now(), finishedAt: null, counts: nothingSeen });
  }

  return {
    async runSlot() {
      await untilStoreAway('the beginning of the permission audit', () => begin(slotAt(clock.now())));
      await run();
    },
    async begin() {
      const audit = await begin(slotByHand(clock.now()));
      if (audit.finishedAt === null) return audit;
      await clock.pause(millis(1000 - (clock.now() % 1000)));
      return begin(slotByHand(clock.now()));
    },
    goOn: run,
    unfinished,
  };
}

/** What came of one pass over an audit. */
interface Pass {
  /** Something was reported, or the audit has ended. */
  readonly wentOn: boolean;
  /** Some of what this instance looked at waits for room at a vault. */
  readonly heldBack: boolean;
}

/** What the pages of an audit add up to. */
export function sumOf(pages: readonly AuditPage[]): AuditCounts {
  return pages.reduce((sum, { counts }) => addCounts(sum, counts), nothingSeen);
}

/** In turns; once the store was away nothing more begins. Rejects with that when all that had begun has ended, so that nothing outlives its run. */
async function untilAway<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const met: StoreAway[] = [];
  await inTurns(items, atOnce, async (item) => {
    if (met.length > 0) return;
    try {
      await work(item);
    } catch (error) {
      if (!(error instanceof StoreAway)) throw error;
      met.push(error);
    }
  });
  for (const error of met) throw error;
}
