import type * as z from 'zod/mini';
import type { AuditView, DrillReport, StatusView } from '../broker/fleet-views.ts';
import type { Audit } from '../domain/audit.ts';
import { instant, toRfc3339, type Instant } from '../domain/time.ts';
import type * as answers from './schemas/fleet.ts';
import { viewVault } from './views.ts';

/* Audits, drills and the status document as JSON; see `views.ts`. */

function time(at: Instant | null): string | null {
  return at === null ? null : toRfc3339(at);
}

export function viewAudit({ slot, startedAt, finishedAt, counts }: Audit): z.output<typeof answers.auditHead> {
  return {
    slot,
    startedAt: toRfc3339(startedAt),
    finishedAt: time(finishedAt),
    servers: counts.servers,
    links: counts.links,
    errors: counts.errors,
    warnings: counts.warnings,
    new: counts.appeared,
    resolved: counts.resolved,
    excessPermissions: excessRead(counts),
  };
}

function excessRead({ permissionsChecked, permissionsUnchecked }: Audit['counts']): 'checked' | 'partly checked' | 'not checked' {
  if (permissionsChecked === 0) return 'not checked';
  return permissionsUnchecked === 0 ? 'checked' : 'partly checked';
}

export function viewAuditWithFindings(audit: AuditView): z.output<typeof answers.audit> {
  const { items, next } = audit.findings;
  return { ...viewAudit(audit), findings: { items: [...items], next } };
}

export function viewDrill(report: DrillReport): z.output<typeof answers.drill> {
  return {
    server: report.server,
    at: toRfc3339(report.at),
    by: report.by,
    requestId: report.requestId,
    ok: report.ok,
    primaries: report.primaries.map((primary) => ({ ...primary, provenAt: time(primary.provenAt) })),
    standbys: report.standbys.map((standby) => ({ ...standby, provenAt: time(standby.provenAt), findings: [...standby.findings] })),
    findings: [...report.findings],
  };
}

export function viewStatus(status: StatusView): z.output<typeof answers.status> {
  const { total, byState, notOnline } = status.servers;
  return {
    at: toRfc3339(status.at),
    servers: { total, byState, notOnline: { items: notOnline.items.map(viewStanding), next: notOnline.next } },
    vaults: status.vaults.map((vault) => ({
      ...viewVault(vault),
      latches: vault.latches,
      outageSince: time(vault.outageSince),
      failoverSince: time(vault.failoverSince),
      lastHour: {
        ...vault.lastHour,
        from: toRfc3339(vault.lastHour.from),
        rate: [...vault.lastHour.rate],
        circuit: [...vault.lastHour.circuit],
      },
    })),
    latchedLinks: {
      total: status.latchedLinks.total,
      items: status.latchedLinks.items.map((link) => ({ ...link, since: toRfc3339(link.since) })),
    },
    audit: status.audit && viewAudit(status.audit),
    oldestProof: status.oldestProof && { ...status.oldestProof, provenAt: toRfc3339(status.oldestProof.provenAt) },
    undeliveredEvents: {
      count: status.undelivered.count,
      oldestAt: time(status.undelivered.oldestAt),
      dead: status.undelivered.dead,
      webhooks: status.undelivered.webhooks.map(({ name, host, state, since, reason, count, oldestAt, dead }) => ({
        name,
        host,
        state,
        since: time(since),
        reason,
        count,
        oldestAt: time(oldestAt),
        dead,
      })),
      deadLetters: status.undelivered.deadLetters.map(({ webhook, id, type, subject, time: at, diedAt, reason }) => ({
        webhook,
        id,
        type,
        subject,
        time: toRfc3339(at),
        diedAt: toRfc3339(diedAt),
        reason,
      })),
    },
    instances: status.instances.map(({ instance, startedAt, at, records }) => ({
      instance,
      startedAt: toRfc3339(instant(startedAt)),
      at: toRfc3339(instant(at)),
      records,
    })),
  };
}

function viewStanding({ name, state, since, clock }: StatusView['servers']['notOnline']['items'][number]) {
  return {
    name,
    state,
    since: toRfc3339(since),
    clock: clock && {
      firstDenialAt: toRfc3339(clock.firstDenialAt),
      inaccessibleAt: toRfc3339(clock.inaccessibleAt),
      healsUntil: toRfc3339(clock.healsUntil),
    },
  };
}
