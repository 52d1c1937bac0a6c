import { entries, type Values } from './settings/table.ts';
import { dearestCosts, serviceUnits } from './policy/rate.ts';
import type { Entry } from './settings/kinds.ts';

/** The settings of the whole broker, grouped by who is given them. Times in milliseconds; the meaning of each is in `settings/table.ts`. */
export type Settings = ReturnType<typeof grouped>;

export type SettingsOutcome =
  | { readonly ok: true; readonly settings: Settings; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] };

type Environment = Readonly<Record<string, string | undefined>>;

/** The settings of this process, read once. The only place that knows `process.env`. */
export function processSettings(): SettingsOutcome {
  return readSettings(process.env);
}

/**
 * Reads all settings. An empty text counts as absent: that is what a deployment template leaves behind.
 * @returns every problem at once; each names its setting and what is allowed, none repeats what was set, which may be secret. `warnings` are
 *   problems of settings that were left out therefore.
 */
export function readSettings(environment: Environment): SettingsOutcome {
  const problems = unknownNames(environment);
  const warnings: string[] = [];
  const read: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries<Entry<unknown>>(entries)) {
    const given = environment[entry.name];
    const result = readEntry(entry, given === undefined || given.trim() === '' ? null : given.trim());
    if (!result.ok) (entry.dispensable ? warnings : problems).push(`${entry.name} ${result.problem}`);
    if (result.ok || entry.dispensable) read[key] = result.ok ? result.value : null;
  }
  // Every entry has put its value in, or a problem: what is read is as the table types it, and contradictions look only at what was read.
  const values = read as Values;
  problems.push(...contradictions(values));
  return problems.length === 0 ? { ok: true, settings: grouped(values), warnings } : { ok: false, problems };
}

function readEntry(entry: Entry<unknown>, given: string | null): ReturnType<Entry<unknown>['read']> {
  const written = given ?? entry.standard;
  if (written !== null) return entry.read(written);
  return entry.required ? { ok: false, problem: `is missing: ${entry.meaning}` } : { ok: true, value: null };
}

/** A setting that nobody reads is a misspelt one. */
function unknownNames(environment: Environment): string[] {
  const known = new Set<string>(Object.values<Entry<unknown>>(entries).map((entry) => entry.name));
  return Object.keys(environment)
    .filter((name) => name.startsWith('KEYBROKER_') && !known.has(name))
    .map((name) => `${name} is not a setting of the broker`);
}

/** Pairs of which the first must not exceed, or must stay below, the second. */
const ordered: readonly (readonly [keyof Values, 'must not exceed' | 'must be less than', keyof Values])[] = [
  ['attemptTimeoutMs', 'must not exceed', 'requestTimeoutMs'],
  ['requestTimeoutMs', 'must not exceed', 'batchTimeoutMs'],
  ['storeTimeoutMs', 'must not exceed', 'requestTimeoutMs'],
  ['proofRenewMs', 'must be less than', 'proofMaxAgeMs'],
  ['proofMaxAgeMs', 'must not exceed', 'standbyProofMaxAgeMs'],
  ['witnessAfterMs', 'must be less than', 'inaccessibleAfterMs'],
  ['witnessAfterMs', 'must be less than', 'denialForgetMs'],
  ['inaccessibleAfterMs', 'must be less than', 'healsWithinMs'],
  ['storeTimeoutMs', 'must be less than', 'rateWindowMs'],
  ['pointsGp', 'must not exceed', 'pointsBc'],
  ['pointsBc', 'must not exceed', 'ratePoints'],
  ['circuitKeys', 'must not exceed', 'circuitVolume'],
  ['circuitProbeMs', 'must not exceed', 'circuitWindowMs'],
];

/** What the dearest calls take of the service's own limits. */
function dearest({ rateWindowMs: windowMs, serviceLimits, serviceShare }: Values): ReturnType<typeof dearestCosts> {
  return dearestCosts({ serviceLimits, serviceShare, windowMs });
}

/** What probes leave of the points. */
function trafficPoints({ probeShare, ratePoints }: Values): number {
  return Math.floor((1 - probeShare) * ratePoints + 1e-9);
}

/** What else cannot hold together. */
const incompatible: readonly { readonly names: readonly (keyof Values)[]; readonly why: string; readonly when: (v: Values) => boolean }[] =
  [
    {
      names: ['storeAwayShare', 'probeShare'],
      why: 'must not exceed 1 together: an instance would take what is kept for probes',
      when: (v) => v.storeAwayShare + v.probeShare > 1 + 1e-9,
    },
    {
      names: ['probeShare', 'ratePoints', 'pointsBc'],
      why: 'leave no room: the share of the points that is kept for probes must cover one call',
      when: (v) => Math.floor(v.probeShare * v.ratePoints + 1e-9) < v.pointsBc,
    },
    {
      names: ['pointsBc', 'ratePoints', 'probeShare'],
      why: 'leave no room: what probes leave of the points must cover the two calls of a rewrap for a BC database',
      when: (v) => trafficPoints(v) < 2 * v.pointsBc,
    },
    {
      names: ['storeAwayShare', 'ratePoints', 'probeShare', 'pointsBc'],
      why: 'leave no room: the share of the points while the store is away must cover one call for a BC database',
      when: (v) => trafficPoints(v) * v.storeAwayShare + 1e-9 < v.pointsBc,
    },
    {
      names: ['rateWindowMs', 'serviceLimits', 'serviceShare', 'probeShare'],
      why: 'leave no room: the share that is kept for probes must cover one call with the dearest kind of key',
      when: (v) => serviceUnits * v.probeShare < dearest(v).any,
    },
    {
      names: ['rateWindowMs', 'serviceLimits', 'serviceShare', 'probeShare'],
      why: 'leave no room: what probes leave must cover the two calls of a rewrap with the dearest kind of key that may be linked',
      when: (v) => serviceUnits * (1 - v.probeShare) < 2 * dearest(v).linked,
    },
    {
      names: ['storeAwayShare', 'rateWindowMs', 'serviceLimits', 'serviceShare', 'probeShare'],
      why: 'leave no room: the share while the store is away must cover one call with the dearest kind of key that may be linked',
      when: (v) => serviceUnits * (1 - v.probeShare) * v.storeAwayShare < dearest(v).linked,
    },
    {
      names: ['leaseMs', 'rateWindowMs'],
      why: 'contradict: a lease must not last longer than half of the window, which waits for what was not spent of it',
      when: (v) => v.leaseMs * 2 > v.rateWindowMs,
    },
  ];

/** Only what could be read is compared: the problem of the other is told already. */
function contradictions(values: Values): string[] {
  const found = ordered
    .filter(([low, relation, high]) => {
      const [a, b] = [Number(values[low]), Number(values[high])];
      return relation === 'must not exceed' ? a > b : a >= b;
    })
    .map(([low, relation, high]) => `${entries[low].name} ${relation} ${entries[high].name}`);
  for (const { names, why, when } of incompatible) {
    if (names.every((name) => name in values) && when(values)) found.push(`${names.map((name) => entries[name].name).join(', ')} ${why}`);
  }
  const { storeConnectionString: direct, storeEndpoint: endpoint } = values;
  const names = `${entries.storeConnectionString.name} and ${entries.storeEndpoint.name}`;
  if (direct === null && endpoint === null) found.push(`${names}: one of them must be set`);
  if (typeof direct === 'string' && typeof endpoint === 'string') found.push(`${names}: only one of them may be set`);
  return found;
}

function grouped(v: Values) {
  return {
    tenantId: v.tenantId,
    clockSkewMs: v.clockSkewMs,
    callers: {
      issuer: v.issuer ?? `https://login.microsoftonline.com/${v.tenantId}/v2.0`,
      audiences: v.audiences,
      tenantId: v.tenantId,
      jwksUri: v.jwksUri,
      clockToleranceMs: v.clockToleranceMs,
    },
    wire: {
      deployment: v.deployment,
      vaultHostSuffixes: v.vaultHostSuffixes,
      requestTimeoutMs: v.requestTimeoutMs,
      batchTimeoutMs: v.batchTimeoutMs,
    },
    store: { connectionString: v.storeConnectionString, endpoint: v.storeEndpoint, timeoutMs: v.storeTimeoutMs },
    identity: { clientId: v.identityClientId },
    controlPlane: { endpoint: v.controlPlane },
    vaults: { resolvers: v.resolvers, connections: v.vaultConnections, attemptTimeoutMs: v.attemptTimeoutMs },
    registry: { pollMs: v.registryPollMs },
    circuits: { volume: v.circuitVolume, windowMs: v.circuitWindowMs, keys: v.circuitKeys, probeMs: v.circuitProbeMs },
    failover: {
      proofMaxAgeMs: v.proofMaxAgeMs,
      proofRenewMs: v.proofRenewMs,
      standbyProofMaxAgeMs: v.standbyProofMaxAgeMs,
      denialQuietMs: v.denialQuietMs,
      accessReadMaxAgeMs: v.accessReadMaxAgeMs,
    },
    witnesses: { afterMs: v.witnessAfterMs, limit: v.witnessLimit, denialForgetMs: v.denialForgetMs },
    serverClock: { inaccessibleAfterMs: v.inaccessibleAfterMs, healsWithinMs: v.healsWithinMs },
    budgets: {
      associationPoints: v.associationPoints,
      ratePoints: v.ratePoints,
      rateWindowMs: v.rateWindowMs,
      points: { GeneralPurpose: v.pointsGp, BusinessCritical: v.pointsBc },
      probeShare: v.probeShare,
      serviceLimits: v.serviceLimits,
      serviceShare: v.serviceShare,
      leaseMs: v.leaseMs,
      storeAwayShare: v.storeAwayShare,
      queueLength: v.queueLength,
    },
    keys: { maxStandbys: v.maxStandbys },
    audits: { share: v.auditShare, pace: v.auditPace, runMs: v.auditRunMs },
    records: { commitMs: v.recordCommitMs, queueLength: v.recordQueue },
    webhooks: { targets: v.webhooks, origin: v.webhookOrigin, source: v.deployment },
    telemetry: { endpoint: v.telemetryEndpoint, insights: v.insights, insightsIdentity: v.insightsIdentity, deployment: v.deployment },
  } as const;
}

/** The table of settings, in Markdown, as the README has it. */
export function settingsTable(): string {
  const rows = Object.values<Entry<unknown>>(entries).map(({ name, unit, standard, required, bounds, meaning }) => {
    const written = standard === null ? (required ? 'required' : 'none') : `\`${standard}\``;
    return `| \`${name}\` | ${unit} | ${written} | ${bounds} | ${meaning} |`;
  });
  return ['| name | unit | default | bounds | meaning |', '|---|---|---|---|---|', ...rows].join('\n');
}
