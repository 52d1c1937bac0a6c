import { beforeEach, describe, expect, it, vi } from 'vitest';
import { addCounts, nothingSeen } from '../../src/domain/audit.ts';
import type { Audit, AuditFinding } from '../../src/domain/audit.ts';
import { instant } from '../../src/domain/time.ts';
import type { AuditPage, AuditReport, AuditStore } from '../../src/ports/audit-store.ts';
import type { EventLog } from '../../src/ports/events.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { anEvent, keyId, morning } from '../support/stored-values.ts';

export interface AuditRig {
  open(): { readonly audits: AuditStore; readonly events: EventLog };
  setAway(away: boolean): void | Promise<void>;
}

const slot = '2026-11-22T06:00:00Z';

export function anAudit(changes: Partial<Audit> = {}): Audit {
  return { slot, startedAt: instant(morning), finishedAt: null, counts: nothingSeen, ...changes };
}

export function anAuditPage(changes: Partial<AuditPage> = {}): AuditPage {
  return { number: 0, of: 'server', left: ['sql-a', 'sql-b'], holder: null, heldUntil: instant(0), counts: nothingSeen, ...changes };
}

export function anAuditFinding(changes: Partial<AuditFinding> = {}): AuditFinding {
  return {
    code: 'NoStandby',
    severity: 'warning',
    server: 'sql-a',
    keyId: keyId(),
    vault: 'kv-west',
    detail: 'the protector has no standby',
    action: 'Name one.',
    change: 'new',
    ...changes,
  };
}

export function describeAuditStore(name: string, factory: () => Promise<AuditRig>): void {
  describe(`audit store: ${name}`, () => {
    let rig: AuditRig;
    let a: AuditStore;
    let b: AuditStore;
    let events: EventLog;
    beforeEach(async () => {
      rig = await factory();
      const [one, other] = [rig.open(), rig.open()];
      a = one.audits;
      b = other.audits;
      events = other.events;
    });

    async function cut(pages: readonly AuditPage[]): Promise<void> {
      await a.begin(anAudit());
      await a.change(slot, (stored) => ({ next: { ...stored, pages: pages.length, allCut: true }, pages, events: [] }));
    }

    async function report(...reports: readonly AuditReport[]): Promise<void> {
      await a.changePage(slot, 0, (page) => ({ next: page, reports, events: [] }));
    }

    async function allFindings(
      limit: number,
      changes: readonly AuditFinding['change'][] = ['new', 'continued'],
    ): Promise<AuditFinding[][]> {
      const pages: AuditFinding[][] = [];
      for (let after: string | null = null; ;) {
        const { items, next }: Awaited<ReturnType<AuditStore['findings']>> = await b.findings(slot, { after, limit, changes });
        pages.push([...items]);
        if (next === null) return pages;
        expect(b.isFindingCursor(next)).toBe(true);
        after = next;
      }
    }

    async function foundAt(name: string): Promise<readonly AuditFinding[] | undefined> {
      return (await b.findingsOf(slot, 'server', [name])).get(name);
    }

    it('P1: an audit is begun once a slot; the second is told of the first', async () => {
      expect(await a.begin(anAudit())).toMatchObject(anAudit());
      expect(await b.begin(anAudit({ startedAt: instant(morning + 5) }))).toMatchObject(anAudit());
      expect(await b.read(slot)).toMatchObject({ slot, cutUpTo: null, allCut: false, pages: 0 });
      expect((await b.read(slot))?.previous).toBeUndefined();
      expect(await a.read('2026-11-22T12:00:00Z')).toBeUndefined();
    });

    it('audits are listed newest first, in pages, each as it is by now', async () => {
      const slots = ['2026-11-21T18:00:00Z', '2026-11-22T00:00:00Z', '2026-11-22T03:14:15Z', slot];
      for (const one of slots) await a.begin(anAudit({ slot: one }));
      const ended = { finishedAt: instant(morning + 9), counts: { ...nothingSeen, servers: 7 } };
      await a.change(slots[1]!, (stored) => ({ next: { ...stored, ...ended }, pages: [], events: [] }));
      const first = await b.list({ after: null, limit: 3 });
      expect(first.items.map((audit) => audit.slot)).toEqual([slot, slots[2], slots[1]]);
      expect(first.items[2]).toMatchObject(ended);
      const rest = await b.list({ after: first.next, limit: 3 });
      expect(rest).toMatchObject({ items: [{ slot: slots[0], finishedAt: null }], next: null });
    });

    it('P1: of two instances that cut the same pages at once, one does', async () => {
      await a.begin(anAudit());
      const cutBy = (store: AuditStore): Promise<unknown> =>
        store.change(slot, (stored) =>
          stored.allCut
            ? null
            : { next: { ...stored, allCut: true, pages: stored.pages + 1, previous: null }, pages: [anAuditPage()], events: [] },
        );
      await Promise.all([cutBy(a), cutBy(b), cutBy(a)]);
      expect(await b.pages(slot)).toEqual([anAuditPage()]);
      expect(await b.read(slot)).toMatchObject({ allCut: true, pages: 1, previous: null });
      expect(await b.change('2026-11-22T12:00:00Z', (stored) => ({ next: stored, pages: [], events: [] }))).toBeUndefined();
    });

    it('P1: of those who claim a page at once, one gets it; null leaves it as it is', async () => {
      await cut([anAuditPage()]);
      const claims = await Promise.all(
        Array.from({ length: 8 }, (_unused, i) =>
          (i % 2 === 0 ? a : b).changePage(slot, 0, (page) =>
            page.holder === null ? { next: { ...page, holder: `run-${i}` }, reports: [], events: [] } : null,
          ),
        ),
      );
      const won = claims.filter((claim) => claim !== null);
      expect(won).toHaveLength(1);
      expect(await b.pages(slot)).toEqual(won);
      expect(await b.changePage(slot, 7, (page) => ({ next: page, reports: [], events: [] }))).toBeNull();
    });

    it('P1, P2: reports and events stand or fall with the change of their page', async () => {
      await cut([anAuditPage({ holder: 'other' })]);
      const mine = { of: 'server', name: 'sql-a', findings: [anAuditFinding()] } as const;
      const save = (holder: string): Promise<AuditPage | null> =>
        a.changePage(slot, 0, (page) =>
          page.holder === holder
            ? {
                next: { ...page, left: ['sql-b'], counts: addCounts(page.counts, { ...nothingSeen, warnings: 1 }) },
                reports: [mine],
                events: [anEvent(`found-${holder}`, { type: 'keybroker.audit.finding' })],
              }
            : null,
        );
      expect(await save('me')).toBeNull();
      expect(await foundAt('sql-a')).toEqual([]);
      expect(await save('other')).toMatchObject({ left: ['sql-b'], counts: { warnings: 1 } });
      expect(await foundAt('sql-a')).toEqual(mine.findings);
      await vi.waitFor(async () => {
        const { items } = await events.page({ after: null, limit: 10, since: null, subject: null });
        expect(items.map(({ id }) => id)).toEqual(['found-other']);
      });
    });

    it('findings come by kind and name of their subject, in pages of any size, none twice', async () => {
      await cut([anAuditPage()]);
      const many = Array.from({ length: 95 }, (_unused, i) =>
        anAuditFinding({ detail: `finding ${i}`, change: i % 2 === 0 ? 'new' : 'continued' }),
      );
      const vaultWide = anAuditFinding({ server: null, keyId: null, code: 'BudgetTight' });
      const second = anAuditFinding({ server: 'sql-b' });
      await report({ of: 'vault', name: 'kv-west', findings: [vaultWide] }, { of: 'server', name: 'sql-b', findings: [second] });
      await report({ of: 'server', name: 'sql-a', findings: many });
      for (const limit of [1, 7, 40, 97, 1000]) {
        const pages = await allFindings(limit);
        expect(pages.flat()).toEqual([...many, second, vaultWide]);
        expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
      }
    });

    it('findings are listed by what changed; those of a subject are without what was resolved', async () => {
      await cut([anAuditPage()]);
      const gone = anAuditFinding({ code: 'KeyDisabled', change: 'resolved' });
      const stays = anAuditFinding({ change: 'continued' });
      await report({ of: 'server', name: 'sql-a', findings: [stays, gone] });
      expect(await allFindings(10, ['resolved'])).toEqual([[gone]]);
      expect(await allFindings(10, ['new'])).toEqual([[]]);
      expect(await allFindings(10)).toEqual([[stays]]);
      expect(await foundAt('sql-a')).toEqual([stays]);
      // A name that begins with another is another.
      expect(await foundAt('sql')).toEqual([]);
      expect(await b.findingsOf(slot, 'vault', ['sql-a'])).toEqual(new Map([['sql-a', []]]));
    });

    it('findings of many are read together, each under its name, also where one name begins another', async () => {
      await cut([anAuditPage()]);
      const names = ['sql', 'sql-a', 'sql-a1', 'sql-b'];
      const found = (name: string): AuditFinding[] =>
        Array.from({ length: 50 }, (_unused, i) => anAuditFinding({ server: name, detail: `finding ${i}`, change: 'continued' }));
      for (const name of [...names, 'sql-c']) await report({ of: 'server', name, findings: found(name) });
      expect(await b.findingsOf(slot, 'server', names)).toEqual(new Map(names.map((name) => [name, found(name)])));
      expect(await b.findingsOf(slot, 'server', ['sql-a', 'sql-none'])).toEqual(
        new Map([
          ['sql-a', found('sql-a')],
          ['sql-none', []],
        ]),
      );
      expect(await b.findingsOf(slot, 'server', [])).toEqual(new Map());
    });

    it.each(['', 'sql-a', '0~', 'found:0:sql-a:0000~'])('a text of another form is no cursor: `%s`', (text) => {
      expect(a.isFindingCursor(text)).toBe(false);
    });

    it('store away: everything rejects with StoreAway', async () => {
      await rig.setAway(true);
      await expect(a.begin(anAudit())).rejects.toBeInstanceOf(StoreAway);
      await expect(a.list({ after: null, limit: 1 })).rejects.toBeInstanceOf(StoreAway);
      await expect(a.changePage(slot, 0, () => null)).rejects.toBeInstanceOf(StoreAway);
      await expect(a.findings(slot, { after: null, limit: 1, changes: ['new'] })).rejects.toBeInstanceOf(StoreAway);
    });
  });
}
