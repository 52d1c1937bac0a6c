import type { Audit, AuditFinding, Slot } from '../../domain/audit.ts';
import type { AuditPage, AuditProgress, AuditReport, AuditStore, SubjectKind } from '../../ports/audit-store.ts';
import { Unreadable } from '../../ports/store.ts';
import { createTurns } from '../../ports/turns.ts';
import type { EventfulStep, Outbox } from './outbox.ts';
import { createReadReadable } from './readable-rows.ts';
import { jsonColumns, jsonValue, timeKey } from './rows.ts';
import { chunks } from './table.ts';
import type { Row, RowKey, Store, StoredRow, Table, Tell, Write } from './table.ts';

/*
 * Permission audits in table `audits`: a partition a slot, named by it, with
 *   progress                     the audit, and how far it was cut
 *   page:{number}                a page
 *   found:{kind}:{name}:{part}   findings at one server or vault, some of them a row; none where all is well
 *   event:…                      events on their way to the log
 * and partition `slots`: a row an audit, newest first, by which they are listed. It is written before the audit begins and when it ends; one
 * that says that the audit still runs is not believed, since a kill may have come before the second writing.
 */

const progressRow = 'progress';
const slots = 'slots';
const pageRows = { from: 'page:', below: 'page;' } as const;
const foundRows = { from: 'found:', below: 'found;' } as const;
/** Findings a row: with details and actions of some hundred letters each far below what a row holds. */
const findingsARow = 40;
/** Servers come first: they are what the report is read for. */
const kinds: Readonly<Record<SubjectKind, string>> = { server: '0', vault: '1' };
const latest = 999_999_999_999_999;

function slotKey(slot: Slot): RowKey {
  return { partition: slots, row: timeKey(latest - Date.parse(slot)) };
}

function pageKey(slot: Slot, number: number): RowKey {
  return { partition: slot, row: `${pageRows.from}${String(number).padStart(6, '0')}` };
}

function subjectRows(of: SubjectKind, name: string): { readonly from: string; readonly below: string } {
  const subject = `${foundRows.from}${kinds[of]}:${name}`;
  return { from: `${subject}:`, below: `${subject};` };
}

export function auditRow({ slot, startedAt, finishedAt, counts }: Audit): Row {
  return { ...slotKey(slot), columns: jsonColumns({ slot, startedAt, finishedAt, counts }) };
}

export function progressToRow(progress: AuditProgress): Row {
  return { partition: progress.slot, row: progressRow, columns: jsonColumns(progress) };
}

export function pageToRow(slot: Slot, page: AuditPage): Row {
  return { ...pageKey(slot, page.number), columns: jsonColumns(page) };
}

/** The rows of a report; none where nothing was found. */
export function reportToRows(slot: Slot, { of, name, findings }: AuditReport): readonly Row[] {
  return chunks(findings, findingsARow).map((part, number) => ({
    partition: slot,
    row: `${subjectRows(of, name).from}${String(number).padStart(4, '0')}`,
    columns: jsonColumns(part),
  }));
}

/** A cursor of the findings: row key of a part and how many of its findings were given. */
const cursorForm = /^(found:[01]:[A-Za-z0-9-]+:\d{4})~(\d{1,2})$/;

/** @param tell hears once of each audit and page that is left out of a list since it cannot be read. */
export function createAuditStore(store: Store, outbox: Outbox, tell: Tell = () => undefined): AuditStore {
  const table = store.table('audits');
  const inTurn = createTurns();
  const readAudits = createReadReadable(table, 'a permission audit cannot be read', tell);
  const readPages = createReadReadable(table, 'a part of a permission audit cannot be read', tell);

  /** The compare-and-set loop on one row; what is written beside it stands or falls with it. */
  async function changeRow<T>(key: RowKey, decide: (stored: T) => Decided<T> | null): Promise<{ value: T | undefined; changed: boolean }> {
    return inTurn(`${key.partition}/${key.row}`, () =>
      outbox.change(
        { table: 'audits', partition: key.partition },
        async (): Promise<EventfulStep<{ value: T | undefined; changed: boolean }>> => {
          const stored = await table.get(key);
          if (stored === undefined) return { result: { value: undefined, changed: false }, writes: [], events: [] };
          const value = jsonValue<T>(stored);
          const decided = decide(value);
          if (decided === null) return { result: { value, changed: false }, writes: [], events: [] };
          const own: Write = { kind: 'replace', row: { ...key, columns: jsonColumns(decided.next) }, etag: stored.etag };
          const beside = decided.beside.map((row): Write => ({ kind: 'put', row }));
          return { result: { value: decided.next, changed: true }, writes: [own, ...beside], events: decided.events };
        },
      ),
    );
  }

  async function read(slot: Slot): Promise<AuditProgress | undefined> {
    const stored = await table.get({ partition: slot, row: progressRow });
    return stored && jsonValue<AuditProgress>(stored);
  }

  /** As it is by now; as its row says where that cannot be read. */
  async function current(audit: Audit): Promise<Audit> {
    try {
      return (await read(audit.slot)) ?? audit;
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return audit;
    }
  }

  return {
    async begin(audit) {
      const progress: AuditProgress = { ...audit, previous: undefined, cutUpTo: null, allCut: false, pages: 0 };
      await table.write([{ kind: 'insert', row: auditRow(audit) }]);
      await table.write([{ kind: 'insert', row: progressToRow(progress) }]);
      return (await read(audit.slot)) ?? audit;
    },

    read,

    async list({ after, limit }) {
      const query = { partition: slots, ...(after === null ? {} : { after: slotKey(after).row }) };
      const { values } = await readAudits(query, (row) => jsonValue<Audit>(row), limit + 1);
      const items = await Promise.all(
        values.slice(0, limit).map((audit) => (audit.finishedAt === null ? current(audit) : Promise.resolve(audit))),
      );
      return { items, next: values.length > limit ? (items.at(-1)?.slot ?? null) : null };
    },

    async change(slot, decide) {
      const { value, changed } = await changeRow<AuditProgress>({ partition: slot, row: progressRow }, (stored) => {
        const decided = decide(stored);
        return decided && { ...decided, beside: decided.pages.map((page) => pageToRow(slot, page)) };
      });
      if (changed && value !== undefined && value.finishedAt !== null) await table.write([{ kind: 'put', row: auditRow(value) }]);
      return value;
    },

    async pages(slot) {
      return (await readPages({ partition: slot, ...pageRows }, (row) => jsonValue<AuditPage>(row))).values;
    },

    async changePage(slot, number, decide) {
      const { value, changed } = await changeRow<AuditPage>(pageKey(slot, number), (stored) => {
        const decided = decide(stored);
        return decided && { ...decided, beside: decided.reports.flatMap((report) => reportToRows(slot, report)) };
      });
      return changed ? (value ?? null) : null;
    },

    findings: (slot, request) => pageOfFindings(table, slot, request),
    isFindingCursor: (text) => cursorForm.test(text),

    async findingsOf(slot, of, names) {
      const ranges = names.map((name) => subjectRows(of, name));
      // Not the first and the last name: `ab` is before `ab-c`, and its rows are behind.
      const from = ranges.map((range) => range.from).sort()[0];
      const below = ranges
        .map((range) => range.below)
        .sort()
        .at(-1);
      if (from === undefined || below === undefined) return new Map();
      const { rows } = await table.list({ partition: slot, from, below });
      const parts = Map.groupBy(rows, ({ row }) => row.split(':')[2] ?? '');
      return new Map(names.map((name) => [name, (parts.get(name) ?? []).flatMap(unresolved)]));
    },
  };
}

function unresolved(part: StoredRow): readonly AuditFinding[] {
  return jsonValue<readonly AuditFinding[]>(part).filter(({ change }) => change !== 'resolved');
}

interface Decided<T> {
  readonly next: T;
  readonly beside: readonly Row[];
  readonly events: EventfulStep<T>['events'];
}

/** Rows that are read at once for a page of findings. */
const rowsARead = 100;

async function pageOfFindings(
  table: Table,
  slot: Slot,
  { after, limit, changes }: Parameters<AuditStore['findings']>[1],
): ReturnType<AuditStore['findings']> {
  const [, row = foundRows.from, given = '0'] = after === null ? [] : (cursorForm.exec(after) ?? [after, foundRows.below]);
  const found: Found[] = [];
  let rows = await read({ from: row });
  for (;;) {
    for (const part of rows) found.push(...unpack(part));
    if (found.length > limit) return { items: items(limit), next: found[limit - 1]?.cursor ?? null };
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsARead) return { items: items(limit), next: null };
    rows = await read({ after: last.row });
  }

  async function read(start: { readonly from: string } | { readonly after: string }): Promise<readonly StoredRow[]> {
    return (await table.list({ partition: slot, below: foundRows.below, ...start }, rowsARead)).rows;
  }

  function unpack(part: StoredRow): readonly Found[] {
    const begin = part.row === row ? Number(given) : 0;
    return jsonValue<readonly AuditFinding[]>(part)
      .map((finding, i) => ({ finding, cursor: `${part.row}~${i + 1}` }))
      .slice(begin)
      .filter(({ finding }) => changes.includes(finding.change));
  }

  function items(most: number): readonly AuditFinding[] {
    return found.slice(0, most).map(({ finding }) => finding);
  }
}

/** A finding with the cursor that stands behind it. */
interface Found {
  readonly finding: AuditFinding;
  readonly cursor: string;
}
