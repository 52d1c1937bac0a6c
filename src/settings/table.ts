import { hostSuffix, isConnectionString, resolver } from './addresses.ts';
import { count, dispensable, guid, list, optional, share, span, special, text, uri, url } from './kinds.ts';
import { insightsBounds, insightsIdentityBounds, readInsights, readInsightsIdentity } from './insights.ts';
import { readServiceLimits, serviceLimitsBounds, standardLimits } from './service-limits.ts';
import { readWebhooks, webhookBounds } from './webhooks.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Every setting, in the order of the README. Numbers of a law may be set, within bounds that keep the law's meaning. */
export const entries = {
  deployment: uri(['KEYBROKER_DEPLOYMENT', 'urn:keybroker', 'names this deployment: `source` of its events']),

  tenantId: guid(['KEYBROKER_TENANT_ID', null, 'tenant of callers, and of the vaults (K3)']),
  issuer: optional(url(['KEYBROKER_ISSUER', null, '`iss` of access tokens; absent: `https://login.microsoftonline.com/{tenant}/v2.0`'])),
  audiences: list(
    ['KEYBROKER_AUDIENCE', null, '`aud` of access tokens: any one of these'],
    '1 or more texts without spaces, separated by commas',
    (part) => (/^[\x21-\x7e]{1,256}$/.test(part) ? part : undefined),
  ),
  jwksUri: optional(url(['KEYBROKER_JWKS_URI', null, "the issuer's key set; absent: found by the issuer's metadata"])),
  clockToleranceMs: span(['KEYBROKER_CLOCK_TOLERANCE_MS', minute, "how far the issuer's clock may be from ours"], 0, 5 * minute),

  storeConnectionString: optional(
    text(
      ['KEYBROKER_STORE_CONNECTION_STRING', null, 'the table store, with its key: for local use; set this or KEYBROKER_STORE_ENDPOINT'],
      'name=value pairs with AccountName and AccountKey, or with TableEndpoint and SharedAccessSignature, or UseDevelopmentStorage=true',
      isConnectionString,
    ),
  ),
  storeEndpoint: optional(url(['KEYBROKER_STORE_ENDPOINT', null, 'the table store, reached by the managed identity'])),
  // Longer, and a change may come later than other instances look for it (`change-feed.ts`).
  storeTimeoutMs: span(['KEYBROKER_STORE_TIMEOUT_MS', 2 * second, 'for one call to the store'], 100, 5 * second),
  identityClientId: optional(
    guid(['KEYBROKER_IDENTITY_CLIENT_ID', null, "client id of the broker's own managed identity; absent: the system-assigned one"]),
  ),
  controlPlane: optional(
    url([
      'KEYBROKER_CONTROL_PLANE_ENDPOINT',
      null,
      'asked whether a vault was deleted before an outage is believed (F9); absent: not asked',
    ]),
  ),

  vaultHostSuffixes: list(
    [
      'KEYBROKER_VAULT_HOST_SUFFIXES',
      '.vault.azure.net,.managedhsm.azure.net',
      'ends of the hosts to which DEKs may go (K1); a suffix with `:port` or `:*` allows that port or any, one without allows 443',
    ],
    'suffixes of at least two labels such as .vault.azure.net or .vault.example:8443, separated by commas',
    hostSuffix,
  ),
  resolvers: list(
    [
      'KEYBROKER_RESOLVERS',
      '168.63.129.16',
      "second resolver: confirms that a vault's name is gone; the default is the one of every Azure network",
    ],
    'IP addresses, each with or without :port, separated by commas',
    resolver,
  ),
  vaultConnections: count(['KEYBROKER_VAULT_CONNECTIONS', 256, 'to one vault at once'], 'connections', 1, 4096),
  attemptTimeoutMs: span(['KEYBROKER_ATTEMPT_TIMEOUT_MS', 2 * second, 'for one call to a vault (C5)'], 100, 30 * second),
  requestTimeoutMs: span(['KEYBROKER_REQUEST_TIMEOUT_MS', 10 * second, 'for one request (C5)'], 200, 120 * second),
  batchTimeoutMs: span(['KEYBROKER_BATCH_TIMEOUT_MS', minute, 'for one batch (C5)'], 200, 220 * second),

  registryPollMs: span(
    ['KEYBROKER_REGISTRY_POLL_MS', 2 * second, 'how often the copy of the registry is refreshed, so that it is at most 5 s old'],
    100,
    4 * second,
  ),

  circuitVolume: count(['KEYBROKER_CIRCUIT_VOLUME', 3, 'outages in the window that open a circuit (F2)'], 'outages', 2, 1000),
  circuitWindowMs: span(
    [
      'KEYBROKER_CIRCUIT_WINDOW_MS',
      2 * second,
      'window in which a circuit counts: short, so that what succeeded before an outage does not outvote it',
    ],
    second,
    5 * minute,
  ),
  circuitKeys: count(['KEYBROKER_CIRCUIT_KEYS', 2, 'keys over which the outages must be spread'], 'keys', 2, 100),
  circuitProbeMs: span(['KEYBROKER_CIRCUIT_PROBE_MS', 2 * second, 'how often an open circuit is probed'], 100, minute),

  proofMaxAgeMs: span(
    ['KEYBROKER_PROOF_MAX_AGE_MS', 15 * minute, 'oldest proof of the primary at the beginning of an outage (F3)'],
    minute,
    24 * hour,
  ),
  proofRenewMs: span(['KEYBROKER_PROOF_RENEW_MS', 10 * minute, 'age at which the watch renews a proof'], 30 * second, 24 * hour),
  standbyProofMaxAgeMs: span(
    ['KEYBROKER_STANDBY_PROOF_MAX_AGE_MS', 24 * hour, 'oldest proof of a standby before an outage (F3)'],
    hour,
    7 * 24 * hour,
  ),
  denialQuietMs: span(
    ['KEYBROKER_DENIAL_QUIET_MS', 10 * minute, 'no failover for so long after a denial (F3, F5)'],
    10 * minute,
    24 * hour,
  ),
  accessReadMaxAgeMs: span(
    ['KEYBROKER_ACCESS_READ_MAX_AGE_MS', second, 'oldest read of denials and proofs on which a failover may rest (F3)'],
    0,
    second,
  ),

  witnessAfterMs: span(
    ['KEYBROKER_WITNESS_AFTER_MS', 30 * second, 'least time from the first denial to the second that confirms it (F6)'],
    second,
    5 * minute,
  ),
  witnessLimit: count(
    ['KEYBROKER_WITNESS_LIMIT', 100, 'suspects a vault that one pass of the watch looks at, every 15 s (F6)'],
    'links',
    1,
    1000,
  ),
  denialForgetMs: span(
    ['KEYBROKER_DENIAL_FORGET_MS', 10 * minute, 'an unconfirmed denial older than this is no first one (F6)'],
    minute,
    24 * hour,
  ),

  inaccessibleAfterMs: span(
    ['KEYBROKER_INACCESSIBLE_AFTER_MS', 10 * minute, 'from the first denial to `inaccessible` (A2)'],
    minute,
    24 * hour,
  ),
  healsWithinMs: span(
    ['KEYBROKER_HEALS_WITHIN_MS', 8 * hour, 'from the first denial to the end of automatic healing (A3)'],
    2 * minute,
    7 * 24 * hour,
  ),

  // No settings, since another value could only do harm: the back-off after a 429 (1, 2, 4, 8, 16 s) is what the service asks for, and all
  // instances read it out of one row by its step; a canary and a GET cost the service what an operation for a GP database does.
  associationPoints: count(['KEYBROKER_ASSOCIATION_POINTS', 1000, 'association budget of a vault (B1)'], 'points', 1, 1_000_000),
  ratePoints: count(['KEYBROKER_RATE_POINTS', 1000, 'rate budget of a vault in one window (B2)'], 'points', 10, 1_000_000),
  rateWindowMs: span(['KEYBROKER_RATE_WINDOW_MS', 10 * second, 'window of the rate budget (B2)'], second, minute),
  pointsGp: count(['KEYBROKER_POINTS_GP', 2, 'a GP database, a key operation for one, a GET, a canary'], 'points', 1, 100),
  pointsBc: count(['KEYBROKER_POINTS_BC', 5, 'a BC database, a key operation for one'], 'points', 1, 100),
  probeShare: share(['KEYBROKER_PROBE_SHARE', 0.05, 'part of the rate budget that is kept for probes (B4)'], 0.01, 0.5),
  serviceShare: share(['KEYBROKER_SERVICE_SHARE', 0.8, "part of the service's own limits that may be used (B2)"], 0.1, 1),
  serviceLimits: special(
    [
      'KEYBROKER_SERVICE_LIMITS',
      standardLimits,
      "the service's own limits, in operations of one vault in 10 s by type and size of the key (B2); a kind that is not named keeps its default",
    ],
    { unit: 'list', bounds: serviceLimitsBounds, read: readServiceLimits },
  ),
  clockSkewMs: span(
    [
      'KEYBROKER_CLOCK_SKEW_MS',
      2 * second,
      'how far apart the wall clocks of two instances may be (B2, F3, and how far back changes of others are looked for)',
    ],
    2 * second,
    10 * second,
  ),
  leaseMs: span(['KEYBROKER_LEASE_MS', second, 'life of a lease of points (B3)'], 100, 5 * second),
  storeAwayShare: share(
    [
      'KEYBROKER_STORE_AWAY_SHARE',
      0.1,
      "an instance's fixed part of the rate budget while the store is away (B3): at most as many instances may run as go into 1, 10 by default. It must cover one call for a BC database and one with the dearest key (0.0053 with the other defaults); a rewrap waits for the store where it does not cover the two of one",
    ],
    0.001,
    1,
  ),
  queueLength: count(['KEYBROKER_QUEUE_LENGTH', 10_000, 'that wait for one vault at most (B4)'], 'requests', 1, 1_000_000),
  maxStandbys: count(['KEYBROKER_MAX_STANDBYS', 4, 'of one primary (K1)'], 'standbys', 0, 4),

  auditShare: share(
    ['KEYBROKER_AUDIT_SHARE', 0.9, 'where more of the rate budget of a vault is used, a permission audit goes on at a trickle only (P1)'],
    0.05,
    0.95,
  ),
  auditPace: share(
    [
      'KEYBROKER_AUDIT_PACE',
      0.2,
      "of a vault's rate budget an instance uses so much for a permission audit at most, so that a storm meets an unused one (P1)",
    ],
    0.01,
    0.95,
  ),
  auditRunMs: span(
    ['KEYBROKER_AUDIT_RUN_MS', 8 * minute, 'one run of a permission audit; the rest is left to the next (P1)'],
    10 * second,
    220 * minute,
  ),

  recordCommitMs: span(['KEYBROKER_RECORD_COMMIT_MS', 200, 'an operation record is stored within this time (P3)'], 1, 200),
  recordQueue: count(['KEYBROKER_RECORD_QUEUE', 10_000, 'that wait in memory while the store is away (P3)'], 'records', 100, 1_000_000),

  webhooks: special(['KEYBROKER_WEBHOOKS', '[]', 'receive every event as a CloudEvent, signed by Standard Webhooks (P2); secret'], {
    unit: 'JSON',
    bounds: webhookBounds,
    read: readWebhooks,
  }),
  webhookOrigin: special(['KEYBROKER_WEBHOOK_ORIGIN', 'keybroker', 'by which webhooks are asked whether they take events'], {
    unit: 'DNS name',
    bounds: 'a DNS name',
    read: (given) =>
      /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(given)
        ? { ok: true, value: given }
        : { ok: false, problem: 'must be a DNS name' },
  }),

  // None of these must keep databases from their keys; the host has two of them, and understands more of them than the broker does.
  telemetryEndpoint: dispensable(
    url([
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      null,
      'takes metrics and traces by OTLP/HTTP; with no connection string of Application Insights either, none are made and nothing is loaded for them',
    ]),
  ),
  insights: dispensable(
    special(
      ['APPLICATIONINSIGHTS_CONNECTION_STRING', null, 'takes the same metrics and traces; the host of Azure Functions reads it too'],
      {
        unit: 'text',
        bounds: insightsBounds,
        read: readInsights,
      },
    ),
  ),
  insightsIdentity: dispensable(
    special(
      [
        'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
        null,
        'with which managed identity Application Insights is written to; absent: with none, by the key of its connection string',
      ],
      { unit: 'text', bounds: insightsIdentityBounds, read: readInsightsIdentity },
    ),
  ),
} as const;

/** What every setting was read as. */
export type Values = { readonly [K in keyof typeof entries]: Extract<ReturnType<(typeof entries)[K]['read']>, { ok: true }>['value'] };
