import { addCounts, nothingSeen } from '../domain/audit.ts';
import type { AuditCounts, AuditFinding, Slot } from '../domain/audit.ts';
import type { BrokerEvent } from '../domain/event.ts';
import { instant, millis, plus } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { identityOf } from '../policy/audit-changes.ts';
import type { AuditPage, AuditReport } from '../ports/audit-store.ts';
import type { Parts } from './parts.ts';

/*
 * The pages of an audit, and how instances share them: a page is cut from the list of servers by name, claimed, worked on, and given back or
 * used up. Every step is one conditional write, so that no server is in two pages, and none is reported on twice.
 */

/** A claim lapses so long after it was made or renewed; a killed instance holds its pages up no longer. */
const claimMs = millis(30_000);
const serversAPage = 25;
const pagesACut = 40;
/** Events of one report at most; the last says how many more changes the audit has. */
const mostEvents = 40;
/** Events and rows of one write at most. */
const mostRows = 80;

/** A report that waits to be stored, with what it counts for. */
export interface Finished {
  readonly report: AuditReport;
  readonly counts: AuditCounts;
}

export interface AuditPages {
  /** Cuts what is not cut yet. Several instances may do so at once. */
  cut(slot: Slot): Promise<void>;
  /** Takes a page. Null: another was first, or nothing is left in it. */
  claim(slot: Slot, page: AuditPage): Promise<Claim | null>;
}

/** A page that this instance holds. */
export interface Claim {
  readonly page: AuditPage;
  /** Stores reports and renews the claim. @returns false if it was lost: then nothing was stored, and nothing ever will be. */
  save(finished: readonly Finished[]): Promise<boolean>;
  /** Gives back what is left. */
  release(): Promise<void>;
}

export function createAuditPages({ audits, clock, registry }: Pick<Parts, 'audits' | 'clock' | 'registry'>): AuditPages {
  function page(number: number, of: AuditPage['of'], left: readonly string[]): AuditPage {
    return { number, of, left, holder: null, heldUntil: instant(0), counts: nothingSeen };
  }

  /** The audit that ended last. By its name it may be the later one: one by hand beside that of the timer, whose name is the start of its 6 hours. */
  async function endedLast(): Promise<Slot | null> {
    let after: string | null = null;
    do {
      const { items, next }: Awaited<ReturnType<typeof audits.list>> = await audits.list({ after, limit: 20 });
      const ended = items.filter(({ finishedAt }) => finishedAt !== null).sort((a, b) => (b.finishedAt ?? 0) - (a.finishedAt ?? 0));
      if (ended[0] !== undefined) return ended[0].slot;
      after = next;
    } while (after !== null);
    return null;
  }

  async function cutOnce(slot: Slot): Promise<boolean> {
    const before = await audits.read(slot);
    if (before === undefined || before.allCut) return true;
    const previous = before.previous === undefined ? await endedLast() : before.previous;
    const vaults = before.pages > 0 ? [] : (await registry.readVaults()).map(({ name }) => name);
    const names = await registry.serverNames(before.cutUpTo, serversAPage * pagesACut);
    const pages = [
      ...(vaults.length === 0 ? [] : [page(before.pages, 'vault', vaults)]),
      ...inParts(names, serversAPage).map((part, i) => page(before.pages + i + (vaults.length === 0 ? 0 : 1), 'server', part)),
    ];
    const allCut = names.length < serversAPage * pagesACut;
    await audits.change(slot, (stored) =>
      // Another instance has cut these meanwhile.
      stored.allCut || stored.pages !== before.pages || stored.cutUpTo !== before.cutUpTo
        ? null
        : {
            next: { ...stored, previous, allCut, cutUpTo: names.at(-1) ?? stored.cutUpTo, pages: stored.pages + pages.length },
            pages,
            events: [],
          },
    );
    return false;
  }

  function eventsOf(slot: Slot, { findings, name, of }: AuditReport, now: Instant): readonly BrokerEvent[] {
    const told = findings.filter(({ change }) => change !== 'continued');
    return told.slice(0, mostEvents).map((finding, i) => ({
      id: `audit-${slot}-${of}-${name}-${finding.change}-${identityOf(finding)}`,
      type: 'keybroker.audit.finding',
      subject: name,
      time: now,
      data: { slot, ...finding, ...(i === mostEvents - 1 && told.length > mostEvents && { moreInTheAudit: told.length - mostEvents }) },
    }));
  }

  function heldBy(slot: Slot, claimed: AuditPage): Claim {
    const { holder, number } = claimed;

    async function saveTogether(finished: readonly Finished[]): Promise<boolean> {
      const names = new Set(finished.map(({ report }) => report.name));
      const now = clock.now();
      const saved = await audits.changePage(slot, number, (stored) =>
        stored.holder !== holder
          ? null
          : {
              next: {
                ...stored,
                left: stored.left.filter((name) => !names.has(name)),
                heldUntil: plus(now, claimMs),
                counts: finished.reduce((sum, { counts }) => addCounts(sum, counts), stored.counts),
              },
              reports: finished.map(({ report }) => report),
              events: finished.flatMap(({ report }) => eventsOf(slot, report, now)),
            },
      );
      return saved !== null;
    }

    return {
      page: claimed,
      async save(finished) {
        for (const part of writable(finished)) if (!(await saveTogether(part))) return false;
        return true;
      },
      async release() {
        await audits.changePage(slot, number, (stored) =>
          stored.holder === holder ? { next: { ...stored, holder: null, heldUntil: instant(0) }, reports: [], events: [] } : null,
        );
      },
    };
  }

  return {
    async cut(slot) {
      while (!(await cutOnce(slot)));
    },
    async claim(slot, { number }) {
      const holder = clock.uuid();
      const now = clock.now();
      const claimed = await audits.changePage(slot, number, (stored) =>
        stored.left.length > 0 && isFree(stored, now)
          ? { next: { ...stored, holder, heldUntil: plus(now, claimMs) }, reports: [], events: [] }
          : null,
      );
      return claimed && heldBy(slot, claimed);
    },
  };
}

/** Whether nobody works on the page. A claim further ahead than any is made was stamped by a clock that has been set back since. */
export function isFree({ holder, heldUntil }: AuditPage, now: Instant): boolean {
  return holder === null || heldUntil <= now || heldUntil > plus(now, millis(2 * claimMs));
}

/** Cuts reports into runs that one write can hold; no reports are one empty run, which renews the claim. */
function writable(finished: readonly Finished[]): readonly (readonly Finished[])[] {
  const runs: Finished[][] = [[]];
  let rows = 0;
  for (const one of finished) {
    const size = rowsOf(one.report.findings);
    if (rows + size > mostRows) {
      runs.push([]);
      rows = 0;
    }
    runs.at(-1)?.push(one);
    rows += size;
  }
  return runs;
}

/** Rows of a report and its events: a forty of findings is a row. */
function rowsOf(findings: readonly AuditFinding[]): number {
  return Math.ceil(findings.length / 40) + Math.min(mostEvents, findings.filter(({ change }) => change !== 'continued').length);
}

function inParts<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_unused, i) => items.slice(i * size, (i + 1) * size));
}
