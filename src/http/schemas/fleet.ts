import * as z from 'zod/mini';
import {
  circuitState,
  count,
  denialClass,
  finding,
  findingFields,
  keyId,
  latchStatus,
  ms,
  next,
  standing,
  text,
  thumbprint,
  time,
  vaultFields,
} from './answers.ts';
import { named, serverName, slot } from './words.ts';

/* Audits, drills and the status document; see `answers.ts`. */

const auditFields = {
  slot,
  startedAt: time,
  finishedAt: z.nullable(time),
  servers: count,
  links: count,
  errors: count,
  warnings: count,
  new: count,
  resolved: count,
  excessPermissions: z.enum(['checked', 'partly checked', 'not checked']),
};

/** Beside the audit before. */
const auditFinding = z
  .object({ ...findingFields, change: z.enum(['new', 'continued', 'resolved']) })
  .register(named, { id: 'AuditFinding', description: 'A finding of a permission audit; `change` compares it with the audit before.' });

export const auditHead = z.object(auditFields).register(named, {
  id: 'AuditSummary',
  description: 'A permission audit without its findings. While `finishedAt` is null it runs, and the numbers are of what was seen so far.',
});

export const audit = z.object({ ...auditFields, findings: z.object({ items: z.array(auditFinding), next }) }).register(named, {
  id: 'Audit',
  description: 'A permission audit. `excessPermissions` says whether the broker may read what its identities hold beyond their need.',
});

export const auditPage = z
  .object({ items: z.array(auditHead), next })
  .register(named, { id: 'AuditPage', description: 'Permission audits, newest first.' });

export const drill = z
  .object({
    server: text,
    at: time,
    by: text,
    requestId: text,
    ok: z.boolean(),
    primaries: z.array(z.object({ keyId, role: z.enum(['protector', 'additional']), thumbprint, vault: text, provenAt: z.nullable(time) })),
    standbys: z.array(
      z.object({
        keyId,
        standbyOf: keyId,
        thumbprint,
        vault: text,
        region: text,
        ok: z.boolean(),
        result: z.enum(['proven', 'failed', 'notProven']),
        provenAt: z.nullable(time),
        latencyMs: z.nullable(ms),
        association: z.object({ used: count, limit: count, ofServer: count }),
        record: text,
        findings: z.array(finding),
      }),
    ),
    findings: z.array(finding),
  })
  .register(named, {
    id: 'Drill',
    description:
      'Whether a failover of the server would work now, proven at each standby; `by` is the object id of who asked. A standby is `proven` where it unwrapped in this drill what its primary had wrapped, `notProven` where its vault was not asked or did not say: its findings tell why. `provenAt` is the newest proof. `association` is in points: what a failover of every server would bring to the vault is in `used` already, `ofServer` of them by this one. `record` is the place of the record that `GET /v1/operations` keeps of it.',
  });

const lastHour = z
  .object({
    from: time,
    stepMs: ms,
    rate: z.array(z.nullable(z.number().check(z.gte(0)))),
    circuit: z.array(z.nullable(circuitState)),
  })
  .register(named, {
    id: 'LastHour',
    description:
      'What was seen of a vault, an entry a minute from `from` on, the present minute last; null where nobody looked. `rate`: the largest part of its rate budget that was used, 1 being all; `circuit`: the worst over all instances.',
  });

const notOnline = z.object({ name: serverName, ...standing });

export const status = z
  .object({
    at: time,
    servers: z.object({
      total: count,
      byState: z.object({ online: count, atRisk: count, inaccessible: count, needsRevalidation: count, pendingValidation: count }),
      notOnline: z.object({ items: z.array(notOnline), next }),
    }),
    vaults: z.array(
      z.object({
        ...vaultFields,
        latches: z.object({ suspected: count, confirmed: count, unknown: count }),
        outageSince: z.nullable(time),
        failoverSince: z.nullable(time),
        lastHour,
      }),
    ),
    latchedLinks: z.object({
      total: count,
      items: z.array(z.object({ server: text, keyId, vault: text, status: latchStatus, class: denialClass, since: time })),
    }),
    audit: z.nullable(auditHead),
    oldestProof: z.nullable(z.object({ server: text, keyId, vault: text, provenAt: time })),
    undeliveredEvents: z.object({
      count,
      oldestAt: z.nullable(time),
      dead: count,
      webhooks: z.array(
        z.object({
          name: text,
          host: text,
          state: z.enum(['waiting', 'working', 'refusing', 'failing', 'stopped', 'unknown']),
          since: z.nullable(time),
          reason: z.nullable(text),
          count,
          oldestAt: z.nullable(time),
          dead: count,
        }),
      ),
      deadLetters: z.array(z.object({ webhook: text, id: text, type: text, subject: text, time, diedAt: time, reason: text })),
    }),
    instances: z.array(
      z.object({ instance: text, startedAt: time, at: time, records: z.object({ issued: count, waiting: count, spilled: count }) }),
    ),
  })
  .register(named, {
    id: 'Status',
    description:
      'The whole fleet at a glance. `servers.notOnline` and `latchedLinks` have the worst first; of the latter at most 100 are named, and `total` counts all. `oldestProof` is that of a primary: a failover rests on it. `latches.unknown`: so many rows of what is known of access at the vault cannot be read; while there is one, nothing fails over from it.',
  });
