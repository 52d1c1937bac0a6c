import { isSlot } from '../domain/audit.ts';
import type { Audit } from '../domain/audit.ts';
import { done, refuse } from '../domain/refusal.ts';
import { sumOf } from './audit-permissions.ts';
import type { AuditRuns } from './audit-permissions.ts';
import type { Parts } from './parts.ts';
import type { Roads } from './roads.ts';

/** So many audits may wait for their end: each sees the same servers, and more would only take their budget. */
const mostUnfinished = 4;

const noCursor = refuse('InvalidRequest', 'after: is not the `next` of this list');

/** Permission audits as people begin and read them (P1). */
export function createAudits(
  { audits }: Pick<Parts, 'audits'>,
  runs: AuditRuns,
): Pick<Roads, 'listAudits' | 'getAudit' | 'startAudit' | 'auditPermissions'> {
  /** What was reported so far, while the audit runs. */
  async function counted(audit: Audit): Promise<Audit> {
    return audit.finishedAt === null ? { ...audit, counts: sumOf(await audits.pages(audit.slot)) } : audit;
  }

  return {
    async listAudits(request) {
      if (request.after !== null && !isSlot(request.after)) return noCursor;
      const { items, next } = await audits.list(request);
      return done({ items: await Promise.all(items.map(counted)), next });
    },

    async getAudit({ slot, ...request }) {
      if (request.after !== null && !audits.isFindingCursor(request.after)) return noCursor;
      const audit = await audits.read(slot);
      if (audit === undefined) return refuse('NotFound', `there is no permission audit ${slot}`);
      return done({ ...(await counted(audit)), findings: await audits.findings(slot, request) });
    },

    async startAudit() {
      const waiting = await runs.unfinished();
      if (waiting.length >= mostUnfinished)
        return refuse('Conflict', `${waiting.length} permission audits have not ended yet; read those first`, { retryable: true });
      const audit = await runs.begin();
      void runs.goOn();
      return done({ ...(await counted(audit)), findings: { items: [], next: null } });
    },

    auditPermissions: runs.runSlot,
  };
}
