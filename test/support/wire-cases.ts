import { done } from '../../src/domain/refusal.ts';
import type { AuditView, LastHour, VaultView } from '../../src/broker/fleet-views.ts';
import type { LinkView, Roads, ServerView } from '../../src/broker/roads.ts';
import { nothingSeen } from '../../src/domain/audit.ts';
import type { Finding } from '../../src/domain/finding.ts';
import { Dek } from '../../src/domain/dek.ts';
import { parseKeyId, parseThumbprint } from '../../src/domain/key.ts';
import type { NumberedRecord } from '../../src/domain/operation.ts';
import { instant, millis, minutes, plus } from '../../src/domain/time.ts';
import { objectId } from './wire.ts';

export const thumbprint = parseThumbprint('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')!;
export const keyId = parseKeyId('https://kv-west.vault.azure.net/keys/tde-key/0123456789abcdef0123456789abcdef')!.keyId;
export const standbyKeyId = parseKeyId('https://kv-north.vault.azure.net/keys/tde-key/0123456789abcdef0123456789abcdef')!.keyId;
export const subscriptionId = '22222222-2222-4333-8444-555555555555';
const at = instant(Date.parse('2026-11-22T06:00:00Z'));

export const dekText = Buffer.alloc(32, 7).toString('base64url');
export const wrappedText = Buffer.alloc(256, 9).toString('base64url');

/** A good request of every route that reads something, by route id. */
export const good: Readonly<Record<string, { params?: Record<string, string>; query?: string; body?: Record<string, unknown> }>> = {
  putVault: {
    params: { vault: 'kv-west' },
    body: { uri: 'https://kv-west.vault.azure.net/', region: 'westeurope', geography: 'Europe', subscriptionId },
  },
  getVault: { params: { vault: 'kv-west' } },
  listVaults: { query: 'limit=1000&after=kv-a' },
  putServer: { params: { server: 'sql-demo' }, body: { engine: 'sql', region: 'westeurope', principalId: objectId } },
  getServer: { params: { server: 'sql-demo' } },
  deleteServer: { params: { server: 'sql-demo' } },
  revalidate: { params: { server: 'sql-demo' }, body: {} },
  putDatabase: { params: { server: 'sql-demo', database: 'orders' }, body: { tier: 'BusinessCritical' } },
  getDatabase: { params: { server: 'sql-demo', database: 'orders' } },
  deleteDatabase: { params: { server: 'sql-demo', database: 'orders' } },
  putProtector: { params: { server: 'sql-demo' }, body: { keyId, standbyKeyIds: [standbyKeyId] } },
  listKeys: { params: { server: 'sql-demo' }, query: 'limit=1' },
  linkKey: { params: { server: 'sql-demo' }, body: { keyId, from: '2025-01-01T00:00:00Z', to: '2026-01-01T00:00:00+01:00' } },
  dropKey: { params: { server: 'sql-demo', thumbprint }, query: 'confirm=backupsGone' },
  wrap: { params: { server: 'sql-demo', database: 'orders' }, body: { dek: dekText } },
  unwrap: { params: { server: 'sql-demo', database: 'orders' }, body: { wrappedDek: wrappedText, thumbprint, algorithm: 'RSA1_5' } },
  rewrap: { params: { server: 'sql-demo', database: 'orders' }, body: { wrappedDek: wrappedText, thumbprint } },
  batch: { params: { server: 'sql-demo' }, body: { operation: 'wrap', items: [{ database: 'orders', dek: dekText }] } },
  listEvents: { query: 'since=2026-11-22T06:00:00Z&subject=sql-demo' },
  listOperations: { query: 'since=2026-11-22T06:00:00Z&server=sql-demo&limit=5' },
  listAudits: { query: 'limit=5&after=2026-11-22T06:00:00Z' },
  getAudit: { params: { slot: '2026-11-22T06:00:00Z' }, query: 'change=resolved&limit=5' },
  startAudit: { body: {} },
  drill: { params: { server: 'sql-demo' }, body: {} },
  status: { query: 'limit=5&after=sql-demo' },
  healthz: {},
  statusPage: {},
  readyz: {},
  openapi: {},
};

const vault: VaultView = {
  name: 'kv-west',
  uri: 'https://kv-west.vault.azure.net',
  kind: 'vault',
  region: 'westeurope',
  geography: 'Europe',
  subscriptionId,
  circuit: { state: 'open', since: at, instances: { closed: 1, open: 1, halfOpen: 0 } },
  association: { used: 7, limit: 1000 },
  rate: { used: 2, limit: 1000, windowMs: millis(10_000), byKeyType: { 'RSA/2048': 1 } },
  latencyMs: { p50: null, p99: null },
};

const server: ServerView = {
  name: 'sql-demo',
  engine: 'sql',
  region: 'westeurope',
  principalId: objectId,
  identityClientId: null,
  defaultTier: 'GeneralPurpose',
  origin: null,
  state: 'atRisk',
  since: at,
  clock: { firstDenialAt: at, inaccessibleAt: at, healsUntil: at },
  databases: { GeneralPurpose: 1, BusinessCritical: 0 },
};

const link: LinkView = {
  keyId,
  role: 'protector',
  vault: 'kv-west',
  region: 'westeurope',
  keyType: 'RSA-HSM',
  keySize: 2048,
  thumbprint,
  standbyOf: null,
  latch: {
    status: 'suspected',
    class: 'revoked',
    firstDenialAt: at,
    newestDenialAt: at,
    witnesses: 1,
    code: 'ForbiddenByRbac',
    generation: 'g1',
  },
  failoverFrom: at,
  provenAt: null,
  protectorFrom: at,
  protectorTo: null,
};

const record: NumberedRecord = {
  instance: 'a1',
  number: 1,
  at,
  requestId: 'r',
  server: 'sql-demo',
  database: 'orders',
  caller: objectId,
  operation: 'unwrap',
  keyId: null,
  thumbprint: null,
  vault: null,
  role: null,
  outcome: 'VaultUnavailable',
  attempts: [{ vault: 'kv-west', role: 'primary', class: 'outage', status: 503, vaultCode: null, ms: millis(12) }],
  latencyMs: millis(13),
};

const lastHour: LastHour = { from: at, stepMs: minutes(1), rate: [null, 0.25], circuit: [null, 'open'] };

const audit = {
  slot: '2026-11-22T06:00:00Z',
  startedAt: at,
  finishedAt: null,
  counts: { ...nothingSeen, servers: 1, links: 2, warnings: 1, appeared: 1 },
};
const finding: Finding = {
  code: 'BudgetTight',
  severity: 'warning',
  server: null,
  keyId: null,
  vault: 'kv-west',
  detail: 'its databases count 990 of 1000 points',
  action: 'Place further servers in another vault.',
};
const auditWithFindings: AuditView = { ...audit, findings: { items: [{ ...finding, change: 'new' }], next: 'found' } };

const served = { keyId, thumbprint, vault: 'kv-west', failover: false, record: 'a1/17' };
const links = { links: [link, { ...link, keyId: standbyKeyId, role: 'standby' as const, standbyOf: keyId }], findings: [] };

/** Roads on which all goes well. */
export const goodRoads: Partial<Roads> = {
  refuseBatch: (_server, refusal) => Promise.resolve({ ok: false, refusal }),
  putVault: () => Promise.resolve(done({ created: true, value: vault })),
  getVault: () => Promise.resolve(done(vault)),
  listVaults: () => Promise.resolve(done({ items: [vault], next: 'kv-west' })),
  putServer: () => Promise.resolve(done({ created: false, value: server })),
  getServer: () => Promise.resolve(done(server)),
  deleteServer: () => Promise.resolve(done(null)),
  revalidate: () => Promise.resolve(done(server)),
  putDatabase: () => Promise.resolve(done({ created: true, value: { name: 'orders', tier: 'BusinessCritical' } })),
  getDatabase: () => Promise.resolve(done({ name: 'orders', tier: 'BusinessCritical' })),
  deleteDatabase: () => Promise.resolve(done(null)),
  putProtector: () => Promise.resolve(done({ created: true, value: links })),
  listKeys: () => Promise.resolve(done({ items: links.links, next: null })),
  linkKey: () => Promise.resolve(done({ created: true, value: links })),
  dropKey: () => Promise.resolve(done(null)),
  wrap: () => Promise.resolve(done({ ...served, wrappedDek: Buffer.alloc(256, 9), algorithm: 'RSA-OAEP-256' })),
  unwrap: () => Promise.resolve(done({ ...served, dek: new Dek(Buffer.alloc(32, 7)), algorithm: 'RSA-OAEP' })),
  rewrap: () => Promise.resolve(done({ ...served, wrappedDek: Buffer.alloc(256, 9), algorithm: 'RSA-OAEP-256' })),
  batch: async ({ size, item }, context) =>
    done(
      await Promise.all(
        Array.from({ length: size }, (_unused, index) => item(index, { ...context, requestId: `${context.requestId}/${index}` })),
      ),
    ),
  listEvents: () =>
    Promise.resolve(
      done({
        items: [{ id: 'e1', type: 'keybroker.server.state', subject: 'sql-demo', time: at, data: { to: 'atRisk' } }],
        next: null,
        unreadable: [],
      }),
    ),
  listOperations: () => Promise.resolve(done({ items: [record], next: null, unreadable: [at, plus(at, millis(5))] })),
  listAudits: () => Promise.resolve(done({ items: [audit, { ...audit, finishedAt: at }], next: audit.slot })),
  getAudit: () => Promise.resolve(done(auditWithFindings)),
  startAudit: () => Promise.resolve(done({ ...audit, findings: { items: [], next: null } })),
  drill: () =>
    Promise.resolve(
      done({
        server: 'sql-demo',
        at,
        by: 'object-1',
        requestId: 'request-1',
        ok: false,
        primaries: [{ keyId: keyId, role: 'protector', thumbprint: thumbprint, vault: 'kv-west', provenAt: null }],
        standbys: [
          {
            keyId: standbyKeyId,
            standbyOf: keyId,
            thumbprint: thumbprint,
            vault: 'kv-north',
            region: 'northeurope',
            ok: true,
            result: 'proven',
            provenAt: at,
            latencyMs: millis(3),
            association: { used: 4, limit: 1000, ofServer: 2 },
            record: 'one/1',
            findings: [],
          },
        ],
        findings: [finding],
      }),
    ),
  status: () =>
    Promise.resolve(
      done({
        at,
        servers: {
          total: 3,
          byState: { online: 2, atRisk: 1, inaccessible: 0, needsRevalidation: 0, pendingValidation: 0 },
          notOnline: { items: [server], next: 'sql-demo' },
        },
        vaults: [{ ...vault, latches: { suspected: 1, confirmed: 0, unknown: 0 }, outageSince: at, failoverSince: null, lastHour }],
        latchedLinks: {
          total: 2,
          items: [{ server: 'sql-demo', keyId, vault: 'kv-west', status: 'suspected', class: 'revoked', since: at }],
        },
        audit,
        oldestProof: { server: 'sql-demo', keyId, vault: 'kv-west', provenAt: at },
        undelivered: { count: 1, oldestAt: at, dead: 0, webhooks: [], deadLetters: [] },
        instances: [{ instance: 'a1', startedAt: at, at, vaults: {}, records: { issued: 1, waiting: 0, spilled: 0 } }],
      }),
    ),
  readiness: () => Promise.resolve({ missing: [], warnings: ['control plane not configured'] }),
};
