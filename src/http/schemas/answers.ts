import * as z from 'zod/mini';
import { eventTypes } from '../../domain/event.ts';
import { unwrapAlgorithms, wrapAlgorithms } from '../../domain/key.ts';
import { refusalCodes } from '../../domain/refusal.ts';
import {
  databaseName,
  dek,
  engine,
  faultClass,
  findingCode,
  guid,
  named,
  place,
  serverName,
  tier,
  vaultName,
  wrappedDek,
} from './words.ts';

/*
 * What the broker answers (design 5.1). Never run over an answer: `views.ts` is checked against these types when it is compiled, the
 * tests check the bodies, and the OpenAPI document is made of them.
 */

export const time = z.string().register(named, {
  id: 'UtcTime',
  description: 'RFC 3339 date-time in UTC with milliseconds.',
  format: 'date-time',
  examples: ['2026-11-22T06:00:00.000Z'],
});
export const text = z.string();
export const count = z.int().check(z.gte(0));
export const ms = z.number().check(z.gte(0));
/** A key id that is answered has been read before: nothing is left to parse. */
export const keyId = text.check(z.maxLength(512));
export const thumbprint = text.check(z.length(43));
const role = z.enum(['primary', 'standby']);

const states = ['online', 'atRisk', 'inaccessible', 'needsRevalidation', 'pendingValidation'] as const;
export const standing = {
  state: z.enum(states),
  since: time,
  clock: z.nullable(z.object({ firstDenialAt: time, inaccessibleAt: time, healsUntil: time })),
};

export const server = z
  .object({
    name: serverName,
    engine,
    region: place,
    principalId: guid,
    identityClientId: z.nullable(guid),
    defaultTier: tier,
    origin: z.nullable(z.enum(['restore', 'replica'])),
    ...standing,
    databases: z.object({ GeneralPurpose: count, BusinessCritical: count }),
  })
  .register(named, { id: 'Server', description: 'A server with its state, the clock of its access and its databases by tier.' });

export const latchStatus = z.enum(['suspected', 'confirmed']);
export const denialClass = z.enum(['revoked', 'keyGone', 'vaultGone']);

export const link = z
  .object({
    keyId,
    role: z.enum(['protector', 'additional', 'standby']),
    vault: vaultName,
    region: place,
    keyType: text,
    keySize: count,
    thumbprint,
    standbyOf: z.nullable(keyId),
    latch: z.nullable(
      z.object({
        status: latchStatus,
        class: denialClass,
        since: time,
        witnesses: count,
      }),
    ),
    failoverFrom: z.nullable(time),
    provenAt: z.nullable(time),
    protectorFrom: z.nullable(time),
    protectorTo: z.nullable(time),
  })
  .register(named, { id: 'Link', description: 'A key linked to a server, with what is known of access to it.' });

const points = { used: z.number(), limit: z.number() };

export const circuitState = z.enum(['closed', 'open', 'halfOpen']);

export const vaultFields = {
  name: vaultName,
  uri: text,
  kind: z.enum(['vault', 'managedHsm']),
  region: place,
  geography: place,
  subscriptionId: guid,
  circuit: z.object({
    state: circuitState,
    since: z.nullable(time),
    instances: z.object({ closed: count, open: count, halfOpen: count }),
  }),
  association: z.object(points),
  rate: z.object({ ...points, windowMs: ms, byKeyType: z.record(z.string(), z.number()) }),
  latencyMs: z.object({ p50: z.nullable(ms), p99: z.nullable(ms) }),
};

export const vault = z.object(vaultFields).register(named, {
  id: 'Vault',
  description: 'A vault with its circuit, its budgets in points, and its latency. While it throttles, the limit of its rate is lower.',
});

export const findingFields = {
  code: findingCode,
  severity: z.enum(['error', 'warning', 'info']),
  server: z.nullable(text),
  keyId: z.nullable(keyId),
  vault: z.nullable(text),
  detail: text,
  action: text,
};

export const finding = z
  .object(findingFields)
  .register(named, { id: 'Finding', description: 'What is wrong, or will be, with a key of a server; `action` says what to do.' });

export const links = z
  .object({ links: z.array(link), findings: z.array(finding) })
  .register(named, { id: 'Links', description: 'The links after the change, and findings that did not stand against it.' });

export const database = z.object({ name: databaseName, tier }).register(named, { id: 'Database', description: 'A database of a server.' });

const served = { keyId, thumbprint, vault: vaultName, failover: z.boolean() };

export const wrapped = z
  .object({ wrappedDek, ...served, algorithm: z.enum(wrapAlgorithms) })
  .register(named, { id: 'WrapAnswer', description: 'The wrapped DEK, and which key in which vault wrapped it.' });

export const unwrapped = z
  .object({ dek, ...served, algorithm: z.enum(unwrapAlgorithms) })
  .register(named, { id: 'UnwrapAnswer', description: 'The DEK, and which key in which vault unwrapped it.' });

export const event = z
  .object({
    specversion: z.literal('1.0'),
    id: text,
    source: text,
    type: z.enum(eventTypes),
    subject: text,
    time,
    datacontenttype: z.literal('application/json'),
    data: z.record(z.string(), z.unknown()),
  })
  .register(named, { id: 'Event', description: 'A CloudEvent 1.0 in JSON format.' });

export const attempt = z
  .object({ vault: text, role, class: faultClass, status: z.nullable(z.int()), vaultCode: z.nullable(text), ms })
  .register(named, { id: 'Attempt', description: 'One try at one link.' });

export const operation = z
  .object({
    instance: text,
    number: z.int().check(z.gte(1)),
    at: time,
    requestId: text,
    server: text,
    database: z.nullable(text),
    items: z.optional(count),
    caller: text,
    operation: z.enum(['wrap', 'unwrap', 'rewrap', 'drill', 'batch']),
    keyId: z.nullable(keyId),
    thumbprint: z.nullable(thumbprint),
    vault: z.nullable(text),
    role: z.nullable(role),
    outcome: z.enum(['ok', ...refusalCodes]),
    attempts: z.array(attempt),
    latencyMs: ms,
  })
  .register(named, {
    id: 'OperationRecord',
    description:
      'What is left of one key operation, of one standby in a drill, or of a batch that was refused as a whole: these have no `database`, and a batch tells its `items`; `operation` is `batch` where its body was not read. Numbers of an instance have no gaps.',
  });

export const next = z.nullable(text);
export const vaultPage = z.object({ items: z.array(vault), next }).register(named, { id: 'VaultPage', description: 'Vaults by name.' });
export const linkPage = z.object({ items: z.array(link), next }).register(named, { id: 'LinkPage', description: 'Links of a server.' });

/** Of the two logs: an auditor must see that something is missing, and where. */
const unreadable = z.nullable(z.object({ rows: count, from: time, to: time })).register(named, {
  id: 'UnreadableRows',
  description:
    'What this page lacks, whatever it was asked for: so many rows of that time cannot be read, since a newer broker wrote them or none did; the log of the broker names them. Null where all can.',
});
export const eventPage = z
  .object({ items: z.array(event), next, unreadable })
  .register(named, { id: 'EventPage', description: 'Events, oldest first.' });
export const operationPage = z
  .object({ items: z.array(operation), next, unreadable })
  .register(named, { id: 'OperationPage', description: 'Records of key operations, oldest first. An unreadable row holds some of them.' });

export const health = z
  .object({ status: z.literal('ok') })
  .register(named, { id: 'Health', description: 'The broker runs; vaults are not asked.' });
export const readiness = z
  .object({ status: z.literal('ready'), missing: z.array(text), warnings: z.array(text) })
  .register(named, { id: 'Readiness', description: 'Whether key operations can be served. Not ready is a problem with the same lists.' });

export const problem = z
  .object({
    type: text,
    title: text,
    status: z.int(),
    code: z.enum(refusalCodes),
    detail: text,
    requestId: text,
    retryable: z.optional(z.boolean()),
    retryAfterMs: z.optional(ms),
    attempts: z.optional(z.array(attempt)),
    findings: z.optional(z.array(finding)),
    errors: z.optional(z.array(z.object({ field: text, detail: text }))),
    missing: z.optional(z.array(text)),
    warnings: z.optional(z.array(text)),
  })
  .register(named, {
    id: 'Problem',
    description: 'RFC 9457 problem. `code` is stable; `errors` names each wrong field of an InvalidRequest.',
  });

const batchResult = z
  .union([z.object({ result: z.union([wrapped, unwrapped]) }), z.object({ problem })])
  .register(named, { id: 'BatchResult', description: 'What came of one item of a batch.' });

export const batchAnswer = z
  .object({ items: z.array(batchResult) })
  .register(named, { id: 'BatchAnswer', description: 'One result or problem an item, in the order of the request.' });
