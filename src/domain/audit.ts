import type { Finding } from './finding.ts';
import { hours, instant, parseRfc3339, toRfc3339 } from './time.ts';
import type { Instant } from './time.ts';

/**
 * Names a permission audit: the start of its 6 hours, e.g. `2026-11-22T06:00:00Z`; of one that was begun by hand its start, to the second.
 */
export type Slot = string;

const slotForm = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const slotMs = hours(6);

/** Whether the text has the form of a slot. */
export function isSlot(text: string): boolean {
  return slotForm.test(text) && parseRfc3339(text) !== undefined;
}

/** The slot of the timer: the 6 hours of UTC that `now` lies in. */
export function slotAt(now: Instant): Slot {
  return slotText(now - (now % slotMs));
}

/** The slot of an audit that is begun by hand at `now`. */
export function slotByHand(now: Instant): Slot {
  return slotText(now - (now % 1000));
}

function slotText(ms: number): Slot {
  return toRfc3339(instant(ms)).replace('.000Z', 'Z');
}

/** Beside the audit before: `resolved` was there and is not any more. */
export type FindingChange = 'new' | 'continued' | 'resolved';

export interface AuditFinding extends Finding {
  readonly change: FindingChange;
}

/** What an audit, or a part of it, has seen. Resolved findings count for nothing but `resolved`. */
export interface AuditCounts {
  readonly servers: number;
  readonly links: number;
  readonly errors: number;
  readonly warnings: number;
  /** Findings of any severity that are new, and that are no more. */
  readonly appeared: number;
  readonly resolved: number;
  /** Pairs of vault and identity whose permissions were read, and that could not be read: the broker may not, or nobody answered. */
  readonly permissionsChecked: number;
  readonly permissionsUnchecked: number;
}

export const nothingSeen: AuditCounts = {
  servers: 0,
  links: 0,
  errors: 0,
  warnings: 0,
  appeared: 0,
  resolved: 0,
  permissionsChecked: 0,
  permissionsUnchecked: 0,
};

export function addCounts(a: AuditCounts, b: AuditCounts): AuditCounts {
  return {
    servers: a.servers + b.servers,
    links: a.links + b.links,
    errors: a.errors + b.errors,
    warnings: a.warnings + b.warnings,
    appeared: a.appeared + b.appeared,
    resolved: a.resolved + b.resolved,
    permissionsChecked: a.permissionsChecked + b.permissionsChecked,
    permissionsUnchecked: a.permissionsUnchecked + b.permissionsUnchecked,
  };
}

/** One permission audit (P1). While it runs, its counts are of what was reported so far. */
export interface Audit {
  readonly slot: Slot;
  readonly startedAt: Instant;
  readonly finishedAt: Instant | null;
  readonly counts: AuditCounts;
}
