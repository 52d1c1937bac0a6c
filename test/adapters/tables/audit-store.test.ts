import { beforeEach, describe, expect, it } from 'vitest';
import { createAuditStore } from '../../../src/adapters/tables/audit-store.ts';
import { createEventLog } from '../../../src/adapters/tables/event-log.ts';
import { Unreadable } from '../../../src/ports/store.ts';
import type { AuditStore } from '../../../src/ports/audit-store.ts';
import { anAudit, anAuditPage } from '../../contract/audit-store.ts';
import { createMemoryTables } from '../../support/memory-tables.ts';
import type { MemoryTables } from '../../support/memory-tables.ts';
import { morning } from '../../support/stored-values.ts';
import { virtualClock } from '../../support/virtual-clock.ts';

const slots = ['2026-11-21T18:00:00Z', '2026-11-22T00:00:00Z', '2026-11-22T06:00:00Z'] as const;
const [, , newest] = slots;

let tables: MemoryTables;
let audits: AuditStore;
let told: string[];
beforeEach(async () => {
  tables = createMemoryTables().open();
  told = [];
  const events = createEventLog(tables, virtualClock(morning));
  audits = createAuditStore(tables, events.outbox, (level, message, { row }) => void told.push(`${level} ${message}: ${String(row)}`));
  for (const slot of slots) await audits.begin(anAudit({ slot }));
});

/** Writes into the row what no broker wrote. @returns its key. */
async function spoil(partition: string, from: string): Promise<string> {
  const table = tables.table('audits');
  const [stored] = (await table.list({ partition, from }, 1)).rows;
  await table.write([{ kind: 'put', row: { ...stored!, columns: { json: '{' } } }]);
  return stored!.row;
}

async function listed(after: string | null, limit: number) {
  const { items, next } = await audits.list({ after, limit });
  return { slots: items.map(({ slot }) => slot), next };
}

describe('one row of the audits that cannot be read', () => {
  it('costs its own place in the list, and is told to the log once; the pages of the list go on behind it', async () => {
    const row = await spoil('slots', '');
    for (let looks = 0; looks < 3; looks += 1)
      expect(await listed(null, 1)).toEqual({ slots: ['2026-11-22T00:00:00Z'], next: '2026-11-22T00:00:00Z' });
    expect(await listed('2026-11-22T00:00:00Z', 1)).toEqual({ slots: ['2026-11-21T18:00:00Z'], next: null });
    expect(told).toEqual([`error a permission audit cannot be read: ${row}`]);
  });

  it('where it is how far the audit is, the audit is listed as its row says, and its slot alone cannot be read', async () => {
    await spoil(newest, 'progress');
    expect((await listed(null, 10)).slots).toEqual(slots.toReversed());
    await expect(audits.read(newest)).rejects.toBeInstanceOf(Unreadable);
    await expect(audits.begin(anAudit({ slot: newest }))).rejects.toBeInstanceOf(Unreadable);
    expect(await audits.begin(anAudit({ slot: '2026-11-22T07:00:00Z' }))).toMatchObject({ slot: '2026-11-22T07:00:00Z' });
  });

  it('where it is a page, the others are given, and it is told to the log once', async () => {
    const pages = [0, 1, 2].map((number) => anAuditPage({ number }));
    await audits.change(newest, (stored) => ({ next: { ...stored, pages: 3 }, pages, events: [] }));
    const row = await spoil(newest, 'page:000001');
    for (let looks = 0; looks < 2; looks += 1) expect((await audits.pages(newest)).map(({ number }) => number)).toEqual([0, 2]);
    expect(told).toEqual([`error a part of a permission audit cannot be read: ${row}`]);
  });

  it('one that has ended is listed as such also after it was asked for again', async () => {
    await audits.change(newest, (stored) => ({ next: { ...stored, finishedAt: anAudit().startedAt }, pages: [], events: [] }));
    await audits.begin(anAudit({ slot: newest }));
    await spoil(newest, 'progress');
    expect((await audits.list({ after: null, limit: 1 })).items).toMatchObject([{ slot: newest, finishedAt: anAudit().startedAt }]);
  });
});
