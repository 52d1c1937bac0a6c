import { addCounts, nothingSeen } from '../domain/audit.ts';
import type { AuditCounts, AuditFinding, Slot } from '../domain/audit.ts';
import type { Finding } from '../domain/finding.ts';
import type { RegisteredServer } from '../domain/server.ts';
import { millis } from '../domain/time.ts';
import type { Millis } from '../domain/time.ts';
import { associationPoints } from '../policy/association.ts';
import { compareFindings, countsOf } from '../policy/audit-changes.ts';
import type { LookedAt } from '../policy/audit-changes.ts';
import { roomFindings } from '../policy/audit-rules.ts';
import { excessFindings } from '../policy/excess.ts';
import type { AuditPage } from '../ports/audit-store.ts';
import { Unreadable } from '../ports/store.ts';
import type { Finished } from './audit-pages.ts';
import type { AuditServer } from './audit-server.ts';
import type { LetGo } from './link-calls.ts';
import type { Parts } from './parts.ts';

/* What an audit looks at, one server or vault of a page after the other; what must be read for that is read for the whole page. */

/** One run of an audit. */
export interface AuditRun {
  /** The audit with whose findings those of this one are compared. */
  readonly previous: Slot | null;
  readonly letGo: LetGo;
}

/** Looks at one server or vault. Undefined: `letGo` said no before all was seen, so that nothing can be said of it. Rejects with `StoreAway`. */
export type ReportOn = (name: string) => Promise<Finished | undefined>;

export interface AuditSubjects {
  /** Looks at those that are left in a page. */
  of(page: AuditPage, run: AuditRun): ReportOn;
}

interface Seen {
  readonly findings: readonly Finding[];
  readonly counts: AuditCounts;
  /** Absent: everything is seen at every look. */
  readonly lookedAt?: LookedAt;
}

/** Of what was not seen nothing is new and nothing resolved. */
const unread: Seen = { findings: [], counts: nothingSeen, lookedAt: () => false };

/** An audit goes by servers that are no older than any copy (design 6). */
const servesMs = millis(5000);

export function createAuditSubjects(parts: Parts, auditServer: AuditServer): AuditSubjects {
  const { association, audits, clock, log, permissions, registry } = parts;

  async function vaultSeen(name: string): Promise<Seen | undefined> {
    const vault = registry.peekVault(name);
    if (vault === undefined) return unread;
    const { counts } = await association.read(name);
    const points = { used: associationPoints(counts, parts.rules.association), limit: parts.rules.association.limit };
    const granted = await permissions.granted(vault, null);
    const checked = granted === null ? { permissionsUnchecked: 1 } : { permissionsChecked: 1 };
    const findings = [...roomFindings(name, points), ...(granted === null ? [] : excessFindings(name, null, granted))];
    const lookedAt: LookedAt = ({ code }) => code !== 'ExcessPermission' || granted !== null;
    return { findings, counts: { ...nothingSeen, ...checked }, lookedAt };
  }

  async function serverSeen(registered: RegisteredServer | undefined, letGo: LetGo): Promise<Seen | undefined> {
    // Removed since the page was cut.
    if (registered === undefined) return { findings: [], counts: nothingSeen };
    const seen = await auditServer(registered, letGo);
    if (seen === undefined) return undefined;
    const { findings, links, lookedAt, permissionsChecked, permissionsUnchecked } = seen;
    return { findings, counts: { ...nothingSeen, servers: 1, links, permissionsChecked, permissionsUnchecked }, lookedAt };
  }

  /** One that cannot be read keeps no other from being seen: the log tells of it, and the audit goes on without. */
  async function ifReadable<T>(read: () => Promise<T>, about: Readonly<Record<string, string>>): Promise<T | 'unreadable'> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      log('error', 'the permission audit leaves out what cannot be read', { ...about, reason: error.message });
      return 'unreadable';
    }
  }

  /** Reads the servers of the page together, and those that are left once more when they are too old. */
  function readerOf(names: readonly string[]): (name: string) => Promise<RegisteredServer | undefined> {
    const left = new Set(names);
    let read: { readonly at: Millis; readonly servers: ReturnType<typeof registry.readTogether> } | undefined;
    return async (name) => {
      const known = registry.peekServer(name);
      if (known === undefined && (read === undefined || clock.elapsed() - read.at > servesMs))
        read = { at: clock.elapsed(), servers: registry.readTogether([...left]) };
      left.delete(name);
      return known ?? (await read?.servers)?.get(name) ?? registry.readServer(name);
    };
  }

  /** What the audit before found at all that is left in the page. Where that cannot be read, all is new. */
  async function foundBefore({ of, left }: AuditPage, previous: Slot | null): Promise<ReadonlyMap<string, readonly AuditFinding[]>> {
    if (previous === null) return new Map();
    const before = await ifReadable(() => audits.findingsOf(previous, of, left), { audit: previous });
    return before === 'unreadable' ? new Map() : before;
  }

  return {
    of(page, { previous, letGo }) {
      const readServer = readerOf(page.left);
      let found: ReturnType<typeof foundBefore> | undefined;
      const see = async (name: string): Promise<Seen | undefined> =>
        page.of === 'vault' ? vaultSeen(name) : serverSeen(await readServer(name), letGo);
      return async (name) => {
        found ??= foundBefore(page, previous);
        const before = (await found).get(name) ?? [];
        const seen = await ifReadable(() => see(name), { [page.of]: name });
        if (seen === undefined) return undefined;
        const { findings: now, counts, lookedAt } = seen === 'unreadable' ? unread : seen;
        const findings = compareFindings(before, now, lookedAt);
        return { report: { of: page.of, name, findings }, counts: addCounts(counts, countsOf(findings)) };
      };
    },
  };
}
