import type { Audit, AuditCounts, AuditFinding, FindingChange, Slot } from '../domain/audit.ts';
import type { BrokerEvent } from '../domain/event.ts';
import type { Instant } from '../domain/time.ts';
import type { Page, PageRequest } from './events.ts';

/** An audit with how far it was cut into pages. */
export interface AuditProgress extends Audit {
  /** The audit that had ended last when its first page was cut, with which its findings are compared; null if there was none. Undefined until then. */
  readonly previous: Slot | null | undefined;
  /** All servers up to this name are in pages; null: none is. */
  readonly cutUpTo: string | null;
  readonly allCut: boolean;
  readonly pages: number;
}

/** What is audited: a server with its links, or a vault as a whole. */
export type SubjectKind = 'server' | 'vault';

/**
 * A part of an audit: what one instance works on at a time. Whoever holds it is the only one that may report on what is left in it, until
 * `heldUntil` by the wall clock of the holder; then another may take it over.
 */
export interface AuditPage {
  readonly number: number;
  readonly of: SubjectKind;
  /** Names that were not reported on yet. */
  readonly left: readonly string[];
  /** Unique for one run of one instance; null: nobody holds it. */
  readonly holder: string | null;
  readonly heldUntil: Instant;
  /** What was reported in this page. */
  readonly counts: AuditCounts;
}

/** What an audit found at one server or vault. */
export interface AuditReport {
  readonly of: SubjectKind;
  readonly name: string;
  readonly findings: readonly AuditFinding[];
}

/**
 * Permission audits with their pages and findings. Methods reject with `StoreAway` and nothing else. Changes are compare-and-set loops
 * round a pure `decide`, which answers null to leave everything as it is; events are stored in the same write and published from there.
 */
export interface AuditStore {
  /** Stores an audit unless there is one of this slot. @returns the one that is stored. */
  begin(audit: Audit): Promise<Audit>;
  read(slot: Slot): Promise<AuditProgress | undefined>;
  /**
   * Newest slot first. `after`: the slot that the page before ended with. A running audit is listed without its counts. One that cannot be read
   * is left out, and told to the log once.
   */
  list(request: PageRequest): Promise<Page<Audit>>;
  /**
   * Changes the audit and adds `pages`, at most 90 at once, in one write.
   * @returns what is stored afterwards; undefined if there is no such audit.
   */
  change(
    slot: Slot,
    decide: (
      stored: AuditProgress,
    ) => { readonly next: AuditProgress; readonly pages: readonly AuditPage[]; readonly events: readonly BrokerEvent[] } | null,
  ): Promise<AuditProgress | undefined>;
  /** The pages, by number. One that cannot be read is left out, and told to the log once. */
  pages(slot: Slot): Promise<readonly AuditPage[]>;
  /**
   * Changes a page and stores reports, in one write: reports whose page another instance took over meanwhile are never stored.
   * Events, and findings by the forty, together: at most 90.
   * @returns the page as it is stored now; null if `decide` said so, or there is no such page.
   */
  changePage(
    slot: Slot,
    number: number,
    decide: (
      stored: AuditPage,
    ) => { readonly next: AuditPage; readonly reports: readonly AuditReport[]; readonly events: readonly BrokerEvent[] } | null,
  ): Promise<AuditPage | null>;
  /** Findings by kind (servers first) and name of their subject. `changes`: only these. */
  findings(slot: Slot, request: PageRequest & { readonly changes: readonly FindingChange[] }): Promise<Page<AuditFinding>>;
  /** Whether the text has the form of a `next` of findings. A page behind any other text is empty. */
  isFindingCursor(text: string): boolean;
  /** What was wrong at these servers or vaults, by name, without what was resolved; nothing of those where nothing was. Names that follow one another are read best. */
  findingsOf(slot: Slot, of: SubjectKind, names: readonly string[]): Promise<ReadonlyMap<string, readonly AuditFinding[]>>;
}
