import type { Audit, AuditFinding, Slot } from '../../src/domain/audit.ts';
import type { BrokerEvent } from '../../src/domain/event.ts';
import type { AuditPage, AuditProgress, AuditReport, AuditStore } from '../../src/ports/audit-store.ts';
import { putEvents } from './memory-event-log.ts';
import type { MemoryStore } from './memory-store.ts';

/** What one audit is: changed as a whole, so that what belongs together is stored together. */
interface Stored {
  readonly progress: AuditProgress;
  readonly pages: readonly AuditPage[];
  readonly reports: readonly AuditReport[];
}

interface Decided {
  readonly next: Stored;
  readonly events: readonly BrokerEvent[];
}

const prefix = 'audit/';

/** Permission audits in memory. A cursor of the findings is how many were given. */
export function createMemoryAuditStore(store: MemoryStore): AuditStore {
  async function read(slot: Slot): Promise<Stored | undefined> {
    return (await store.read<Stored | undefined>(`${prefix}${slot}`, undefined)).value;
  }

  async function change(slot: Slot, decide: (stored: Stored) => Decided | null): Promise<{ stored: Stored | undefined; changed: boolean }> {
    const taken: { decided: Decided | null } = { decided: null };
    const stored = await store.change<Stored | undefined>(`${prefix}${slot}`, undefined, (current) => {
      taken.decided = current === undefined ? null : decide(current);
      return taken.decided ?? undefined;
    });
    await putEvents(store, taken.decided?.events ?? []);
    return { stored, changed: taken.decided !== null };
  }

  return {
    async begin(audit) {
      const progress: AuditProgress = { ...audit, previous: undefined, cutUpTo: null, allCut: false, pages: 0 };
      const stored = await store.change<Stored | undefined>(`${prefix}${audit.slot}`, undefined, (current) =>
        current === undefined ? { next: { progress, pages: [], reports: [] } } : undefined,
      );
      return auditOf(stored?.progress ?? progress);
    },

    read: async (slot) => (await read(slot))?.progress,

    async list({ after, limit }) {
      const all = (await store.list<Stored>(prefix)).map(({ progress }) => auditOf(progress)).reverse();
      const rest = all.filter(({ slot }) => after === null || slot < after);
      const items = rest.slice(0, limit);
      return { items, next: rest.length > limit ? (items.at(-1)?.slot ?? null) : null };
    },

    async change(slot, decide) {
      const { stored } = await change(slot, (current) => {
        const decided = decide(current.progress);
        return (
          decided && { next: { ...current, progress: decided.next, pages: [...current.pages, ...decided.pages] }, events: decided.events }
        );
      });
      return stored?.progress;
    },

    pages: async (slot) => (await read(slot))?.pages ?? [],

    async changePage(slot, number, decide) {
      const { stored, changed } = await change(slot, (current) => {
        const page = current.pages.find((one) => one.number === number);
        const decided = page === undefined ? null : decide(page);
        if (decided === null) return null;
        const pages = current.pages.map((one) => (one.number === number ? decided.next : one));
        return { next: { ...current, pages, reports: [...current.reports, ...decided.reports] }, events: decided.events };
      });
      return changed ? (stored?.pages.find((one) => one.number === number) ?? null) : null;
    },

    async findings(slot, { after, limit, changes }) {
      const order = (one: AuditReport): string => `${one.of === 'server' ? '0' : '1'}:${one.name}`;
      const reports = [...((await read(slot))?.reports ?? [])].sort((a, b) => (order(a) < order(b) ? -1 : 1));
      const all = reports.flatMap(({ findings }) => findings).filter((finding) => changes.includes(finding.change));
      const begin = Number(after ?? 0);
      return { items: all.slice(begin, begin + limit), next: all.length > begin + limit ? String(begin + limit) : null };
    },

    isFindingCursor: (text) => /^\d+$/.test(text),

    async findingsOf(slot, of, names) {
      const reports = (await read(slot))?.reports ?? [];
      const foundAt = (name: string): readonly AuditFinding[] =>
        reports.filter((report) => report.of === of && report.name === name).flatMap(({ findings }) => findings);
      return new Map(names.map((name) => [name, foundAt(name).filter(({ change }) => change !== 'resolved')]));
    },
  };
}

function auditOf({ slot, startedAt, finishedAt, counts }: AuditProgress): Audit {
  return { slot, startedAt, finishedAt, counts };
}
