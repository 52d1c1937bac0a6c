import { describe, expect, test } from 'vitest';
import { documentedLimits } from '../src/domain/service-limits.ts';
import { readSettings, settingsTable, type Settings } from '../src/settings.ts';
import { entries } from '../src/settings/table.ts';
import type { Entry } from '../src/settings/kinds.ts';

const tenant = '11111111-2222-4333-8444-555555555555';
const least = {
  KEYBROKER_TENANT_ID: tenant.toUpperCase(),
  KEYBROKER_AUDIENCE: 'api://keybroker',
  KEYBROKER_STORE_CONNECTION_STRING: 'UseDevelopmentStorage=true',
};

function settingsOf(change: Record<string, string | undefined> = {}): Settings {
  const outcome = readSettings({ ...least, ...change });
  if (!outcome.ok) throw new Error(outcome.problems.join('\n'));
  return outcome.settings;
}

function warningsOf(change: Record<string, string | undefined>): readonly string[] {
  const outcome = readSettings({ ...least, ...change });
  return outcome.ok ? outcome.warnings : [];
}

function problemsOf(change: Record<string, string | undefined>): readonly string[] {
  const outcome = readSettings({ ...least, ...change });
  return outcome.ok ? [] : outcome.problems;
}

describe('settings', () => {
  test('the least that must be set; all else has the numbers of the laws', () => {
    expect(settingsOf()).toMatchInlineSnapshot(`
      {
        "audits": {
          "pace": 0.2,
          "runMs": 480000,
          "share": 0.9,
        },
        "budgets": {
          "associationPoints": 1000,
          "leaseMs": 1000,
          "points": {
            "BusinessCritical": 5,
            "GeneralPurpose": 2,
          },
          "probeShare": 0.05,
          "queueLength": 10000,
          "ratePoints": 1000,
          "rateWindowMs": 10000,
          "serviceLimits": {
            "RSA-HSM/2048": 2000,
            "RSA-HSM/3072": 500,
            "RSA-HSM/4096": 250,
            "RSA/2048": 4000,
            "RSA/3072": 1000,
            "RSA/4096": 500,
          },
          "serviceShare": 0.8,
          "storeAwayShare": 0.1,
        },
        "callers": {
          "audiences": [
            "api://keybroker",
          ],
          "clockToleranceMs": 60000,
          "issuer": "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0",
          "jwksUri": null,
          "tenantId": "11111111-2222-4333-8444-555555555555",
        },
        "circuits": {
          "keys": 2,
          "probeMs": 2000,
          "volume": 3,
          "windowMs": 2000,
        },
        "clockSkewMs": 2000,
        "controlPlane": {
          "endpoint": null,
        },
        "failover": {
          "accessReadMaxAgeMs": 1000,
          "denialQuietMs": 600000,
          "proofMaxAgeMs": 900000,
          "proofRenewMs": 600000,
          "standbyProofMaxAgeMs": 86400000,
        },
        "identity": {
          "clientId": null,
        },
        "keys": {
          "maxStandbys": 4,
        },
        "records": {
          "commitMs": 200,
          "queueLength": 10000,
        },
        "registry": {
          "pollMs": 2000,
        },
        "serverClock": {
          "healsWithinMs": 28800000,
          "inaccessibleAfterMs": 600000,
        },
        "store": {
          "connectionString": "UseDevelopmentStorage=true",
          "endpoint": null,
          "timeoutMs": 2000,
        },
        "telemetry": {
          "deployment": "urn:keybroker",
          "endpoint": null,
          "insights": null,
          "insightsIdentity": null,
        },
        "tenantId": "11111111-2222-4333-8444-555555555555",
        "vaults": {
          "attemptTimeoutMs": 2000,
          "connections": 256,
          "resolvers": [
            "168.63.129.16",
          ],
        },
        "webhooks": {
          "origin": "keybroker",
          "source": "urn:keybroker",
          "targets": [],
        },
        "wire": {
          "batchTimeoutMs": 60000,
          "deployment": "urn:keybroker",
          "requestTimeoutMs": 10000,
          "vaultHostSuffixes": [
            {
              "port": 443,
              "suffix": ".vault.azure.net",
            },
            {
              "port": 443,
              "suffix": ".managedhsm.azure.net",
            },
          ],
        },
        "witnesses": {
          "afterMs": 30000,
          "denialForgetMs": 600000,
          "limit": 100,
        },
      }
    `);
  });

  test('an empty text counts as absent, white space round a value is nothing', () => {
    expect(settingsOf({ KEYBROKER_IDENTITY_CLIENT_ID: ' ', KEYBROKER_STORE_TIMEOUT_MS: ' 500 ' })).toMatchObject({
      identity: { clientId: null },
      store: { timeoutMs: 500 },
    });
  });

  test('lists, suffixes with ports, resolvers', () => {
    const settings = settingsOf({
      KEYBROKER_AUDIENCE: 'api://a, b',
      KEYBROKER_VAULT_HOST_SUFFIXES: '.Vault.Azure.net, .vault.localhost:*,.hsm.example:8443',
      KEYBROKER_RESOLVERS: '127.0.0.1:5353,[::1]:53,10.0.0.1',
    });
    expect(settings.callers.audiences).toEqual(['api://a', 'b']);
    expect(settings.wire.vaultHostSuffixes).toEqual([
      { suffix: '.vault.azure.net', port: 443 },
      { suffix: '.vault.localhost', port: 'any' },
      { suffix: '.hsm.example', port: 8443 },
    ]);
    expect(settings.vaults.resolvers).toEqual(['127.0.0.1:5353', '[::1]:53', '10.0.0.1']);
  });

  test("B2: the service's limits of the kinds that are named; the others keep what is documented", () => {
    const { budgets } = settingsOf({ KEYBROKER_SERVICE_LIMITS: 'RSA-HSM/3072=1000, RSA/2048 = 8000' });
    expect(budgets.serviceLimits).toEqual({ ...documentedLimits, 'RSA-HSM/3072': 1000, 'RSA/2048': 8000 });
  });

  test("B2: every wrong one of the service's limits is told by its kind, or by its place", () => {
    expect(
      problemsOf({ KEYBROKER_SERVICE_LIMITS: 'RSA/3072=9,RSA/1024=100,RSA-HSM/2048=many,RSA/2048=1=2,RSA/4096=10,RSA/4096=20' }),
    ).toEqual([
      'KEYBROKER_SERVICE_LIMITS RSA/3072 must be a whole number from 10 to 1000000; ' +
        '[1] is not `{kind}=n` with one of the kinds RSA/2048, RSA/3072, RSA/4096, RSA-HSM/2048, RSA-HSM/3072, RSA-HSM/4096; ' +
        'RSA-HSM/2048 must be a whole number from 10 to 1000000; ' +
        '[3] is not `{kind}=n` with one of the kinds RSA/2048, RSA/3072, RSA/4096, RSA-HSM/2048, RSA-HSM/3072, RSA-HSM/4096; ' +
        'has RSA/4096 twice',
    ]);
  });

  test('Application Insights: the connection string as it is, and who writes to it', () => {
    const insights = `InstrumentationKey=${tenant};IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;ApplicationId=${tenant}`;
    const telemetryOf = (identity: string) =>
      settingsOf({ APPLICATIONINSIGHTS_CONNECTION_STRING: insights, APPLICATIONINSIGHTS_AUTHENTICATION_STRING: identity }).telemetry;
    expect(telemetryOf('')).toMatchObject({ insights, insightsIdentity: null });
    expect(telemetryOf('Authorization=AAD')).toMatchObject({ insightsIdentity: { clientId: null } });
    expect(telemetryOf(`ClientId=${tenant.toUpperCase()};Authorization=AAD`)).toMatchObject({ insightsIdentity: { clientId: tenant } });
  });

  test('every problem is told at once, and each names its setting', () => {
    const outcome = readSettings({ KEYBROKER_LEASE_MS: 'soon', KEYBROKER_POINTZ: '1', KEYBROKER_ISSUER: 'x' });
    expect(outcome).toEqual({
      ok: false,
      problems: [
        'KEYBROKER_POINTZ is not a setting of the broker',
        'KEYBROKER_TENANT_ID is missing: tenant of callers, and of the vaults (K3)',
        'KEYBROKER_ISSUER must be an https URL, or http on a loopback address, without user info, query and fragment',
        'KEYBROKER_AUDIENCE is missing: `aud` of access tokens: any one of these',
        'KEYBROKER_LEASE_MS must be a whole number from 100 to 5000',
        'KEYBROKER_STORE_CONNECTION_STRING and KEYBROKER_STORE_ENDPOINT: one of them must be set',
      ],
    });
  });

  test.each<[string, string]>([
    ['KEYBROKER_TENANT_ID', 'contoso'],
    ['KEYBROKER_ISSUER', 'http://login.example'],
    ['KEYBROKER_ISSUER', 'https://user@login.example'],
    ['KEYBROKER_ISSUER', 'http://127.0.0.1.evil.example'],
    ['KEYBROKER_JWKS_URI', 'https://login.example/?a=b'],
    ['KEYBROKER_STORE_ENDPOINT', 'ftp://store.example'],
    ['KEYBROKER_VAULT_HOST_SUFFIXES', 'vault.azure.net'],
    ['KEYBROKER_VAULT_HOST_SUFFIXES', '.net'],
    ['KEYBROKER_VAULT_HOST_SUFFIXES', '.vault.azure.net,'],
    ['KEYBROKER_VAULT_HOST_SUFFIXES', '.vault.azure.net:65536'],
    ['KEYBROKER_VAULT_HOST_SUFFIXES', '.*.azure.net'],
    ['KEYBROKER_RESOLVERS', 'dns.example'],
    ['KEYBROKER_RESOLVERS', '10.0.0.256'],
    ['KEYBROKER_RESOLVERS', '10.0.0.1:0'],
    ['KEYBROKER_DEPLOYMENT', 'no uri'],
    ['KEYBROKER_ACCESS_READ_MAX_AGE_MS', '1001'],
    ['KEYBROKER_RECORD_COMMIT_MS', '201'],
    ['KEYBROKER_REQUEST_TIMEOUT_MS', '1e4'],
    ['KEYBROKER_REQUEST_TIMEOUT_MS', '2000.5'],
    ['KEYBROKER_REQUEST_TIMEOUT_MS', '-1'],
    ['KEYBROKER_REQUEST_TIMEOUT_MS', '0x800'],
    ['KEYBROKER_PROBE_SHARE', '0.6'],
    ['KEYBROKER_PROBE_SHARE', '5%'],
    ['KEYBROKER_SERVICE_SHARE', '1.1'],
    ['KEYBROKER_STORE_CONNECTION_STRING', 'AccountName=a;TableEndpoint=http://127.0.0.1:10002/a'],
    ['KEYBROKER_STORE_CONNECTION_STRING', 'not a connection string'],
    ['KEYBROKER_MAX_STANDBYS', '5'],
    ['KEYBROKER_CLOCK_SKEW_MS', '1999'],
    ['KEYBROKER_STORE_TIMEOUT_MS', '5001'],
  ])('%s=%s is refused by name', (name, value) => {
    expect(problemsOf({ [name]: value }).filter((problem) => problem.startsWith(`${name} must be `))).toHaveLength(1);
  });

  test.each<[string, string]>([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', '@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/insights)'],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', tenant],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', `InstrumentationKey=${tenant};IngestionEndpoint=`],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', 'IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/'],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', 'InstrumentationKey=none'],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', `InstrumentationKey=${tenant};IngestionEndpoint=http://collector.example`],
    ['APPLICATIONINSIGHTS_CONNECTION_STRING', `InstrumentationKey=${tenant};IngestionEndpoint=https://user@collector.example`],
    ['APPLICATIONINSIGHTS_AUTHENTICATION_STRING', 'Authorization=Key'],
    ['APPLICATIONINSIGHTS_AUTHENTICATION_STRING', 'ClientId=me;Authorization=AAD'],
  ])('%s=%s is told by name, and left out: databases need their keys, metrics or not', (name, value) => {
    expect(warningsOf({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name} must be `))]);
    expect(settingsOf({ [name]: value })).toEqual(settingsOf());
  });

  test.each([
    ['KEYBROKER_ATTEMPT_TIMEOUT_MS', '20000', 'KEYBROKER_REQUEST_TIMEOUT_MS'],
    ['KEYBROKER_REQUEST_TIMEOUT_MS', '61000', 'KEYBROKER_BATCH_TIMEOUT_MS'],
    ['KEYBROKER_PROOF_RENEW_MS', '900000', 'KEYBROKER_PROOF_MAX_AGE_MS'],
    ['KEYBROKER_INACCESSIBLE_AFTER_MS', '28800001', 'KEYBROKER_HEALS_WITHIN_MS'],
    ['KEYBROKER_INACCESSIBLE_AFTER_MS', '28800000', 'KEYBROKER_HEALS_WITHIN_MS'],
    ['KEYBROKER_POINTS_GP', '6', 'KEYBROKER_POINTS_BC'],
    ['KEYBROKER_CIRCUIT_KEYS', '4', 'KEYBROKER_CIRCUIT_VOLUME'],
  ])('%s=%s contradicts %s, and both are named', (name, value, other) => {
    expect(problemsOf({ [name]: value }).some((problem) => problem.startsWith(name) && problem.endsWith(other))).toBe(true);
  });

  test.each<[string, Record<string, string>, readonly string[]]>([
    [
      'B3: an away share that takes what is kept for probes',
      { KEYBROKER_STORE_AWAY_SHARE: '0.96' },
      ['KEYBROKER_STORE_AWAY_SHARE', 'KEYBROKER_PROBE_SHARE'],
    ],
    [
      'B4: a share of few points that no probe fits in',
      { KEYBROKER_RATE_POINTS: '99' },
      ['KEYBROKER_PROBE_SHARE', 'KEYBROKER_RATE_POINTS', 'KEYBROKER_POINTS_BC'],
    ],
    [
      'B4: a smaller share that no probe fits in',
      { KEYBROKER_PROBE_SHARE: '0.01', KEYBROKER_RATE_POINTS: '499' },
      ['KEYBROKER_PROBE_SHARE', 'KEYBROKER_RATE_POINTS', 'KEYBROKER_POINTS_BC'],
    ],
    [
      'B2: a BC call that is more than probes leave',
      { KEYBROKER_POINTS_BC: '10', KEYBROKER_RATE_POINTS: '10' },
      ['KEYBROKER_POINTS_BC', 'KEYBROKER_RATE_POINTS', 'KEYBROKER_PROBE_SHARE'],
    ],
    [
      'B3: an away share that covers no call for a BC database',
      { KEYBROKER_STORE_AWAY_SHARE: '0.001' },
      ['KEYBROKER_STORE_AWAY_SHARE', 'KEYBROKER_RATE_POINTS', 'KEYBROKER_PROBE_SHARE', 'KEYBROKER_POINTS_BC'],
    ],
    [
      "B4: a window so short that a probe of the dearest key takes more than the probes' share of the service's limit",
      { KEYBROKER_RATE_WINDOW_MS: '1000', KEYBROKER_SERVICE_SHARE: '0.1', KEYBROKER_STORE_TIMEOUT_MS: '500', KEYBROKER_LEASE_MS: '500' },
      ['KEYBROKER_RATE_WINDOW_MS', 'KEYBROKER_SERVICE_LIMITS', 'KEYBROKER_SERVICE_SHARE', 'KEYBROKER_PROBE_SHARE'],
    ],
    [
      'B4: a limit so low that a probe of a key of that kind takes more than the share of probes',
      { KEYBROKER_SERVICE_LIMITS: 'RSA-HSM/4096=24' },
      ['KEYBROKER_RATE_WINDOW_MS', 'KEYBROKER_SERVICE_LIMITS', 'KEYBROKER_SERVICE_SHARE', 'KEYBROKER_PROBE_SHARE'],
    ],
    [
      'B2: limits and shares that leave a rewrap with the dearest key no room beside probes',
      { KEYBROKER_PROBE_SHARE: '0.5', KEYBROKER_SERVICE_SHARE: '0.1', KEYBROKER_SERVICE_LIMITS: 'RSA/3072=39' },
      ['KEYBROKER_RATE_WINDOW_MS', 'KEYBROKER_SERVICE_LIMITS', 'KEYBROKER_SERVICE_SHARE', 'KEYBROKER_PROBE_SHARE'],
    ],
    [
      'B2: points that cover one call for a BC database, and not the two of a rewrap',
      { KEYBROKER_POINTS_BC: '48', KEYBROKER_RATE_POINTS: '100', KEYBROKER_PROBE_SHARE: '0.5', KEYBROKER_STORE_AWAY_SHARE: '0.5' },
      ['KEYBROKER_POINTS_BC', 'KEYBROKER_RATE_POINTS', 'KEYBROKER_PROBE_SHARE'],
    ],
    [
      'B3: an away share that is a little less than one call for a BC database',
      { KEYBROKER_STORE_AWAY_SHARE: '0.0052' },
      ['KEYBROKER_STORE_AWAY_SHARE', 'KEYBROKER_RATE_POINTS', 'KEYBROKER_PROBE_SHARE', 'KEYBROKER_POINTS_BC'],
    ],
    [
      'B3: an away share that covers no call with the dearest key',
      { KEYBROKER_STORE_AWAY_SHARE: '0.02', KEYBROKER_SERVICE_SHARE: '0.1', KEYBROKER_PROBE_SHARE: '0.2' },
      [
        'KEYBROKER_STORE_AWAY_SHARE',
        'KEYBROKER_RATE_WINDOW_MS',
        'KEYBROKER_SERVICE_LIMITS',
        'KEYBROKER_SERVICE_SHARE',
        'KEYBROKER_PROBE_SHARE',
      ],
    ],
    [
      'B3: a lease longer than half of the window',
      { KEYBROKER_LEASE_MS: '1001', KEYBROKER_RATE_WINDOW_MS: '2000', KEYBROKER_STORE_TIMEOUT_MS: '500' },
      ['KEYBROKER_LEASE_MS', 'KEYBROKER_RATE_WINDOW_MS'],
    ],
    [
      'B3: a lease larger than the window',
      { KEYBROKER_LEASE_MS: '5000', KEYBROKER_RATE_WINDOW_MS: '1000', KEYBROKER_STORE_TIMEOUT_MS: '500' },
      ['KEYBROKER_LEASE_MS', 'KEYBROKER_RATE_WINDOW_MS'],
    ],
  ])('%s is refused, and all its settings are named', (_rule, change, names) => {
    expect(problemsOf(change).filter((problem) => problem.startsWith(`${names.join(', ')} `))).toHaveLength(1);
  });

  test.each<[string, Record<string, string>]>([
    ['an away share that is all that probes leave', { KEYBROKER_STORE_AWAY_SHARE: '0.95' }],
    ['as few points as one probe needs', { KEYBROKER_RATE_POINTS: '100', KEYBROKER_STORE_AWAY_SHARE: '0.11' }],
    ['an away share of one rewrap for a BC database, for 90 instances', { KEYBROKER_STORE_AWAY_SHARE: '0.011' }],
    ['an away share of one call for a BC database, for 188 instances', { KEYBROKER_STORE_AWAY_SHARE: '0.0053' }],
    [
      'an away share of one call with the dearest key, and not of a rewrap',
      { KEYBROKER_STORE_AWAY_SHARE: '0.04', KEYBROKER_SERVICE_SHARE: '0.1', KEYBROKER_PROBE_SHARE: '0.2' },
    ],
    [
      'the least away share, where the budget is large',
      {
        KEYBROKER_STORE_AWAY_SHARE: '0.001',
        KEYBROKER_RATE_POINTS: '6000',
        KEYBROKER_RATE_WINDOW_MS: '60000',
        KEYBROKER_SERVICE_SHARE: '1',
      },
    ],
    ['a lease of half the window', { KEYBROKER_LEASE_MS: '1000', KEYBROKER_RATE_WINDOW_MS: '2000', KEYBROKER_STORE_TIMEOUT_MS: '500' }],
  ])('%s goes', (_rule, change) => {
    expect(problemsOf(change)).toEqual([]);
  });

  test('one store, not two', () => {
    expect(problemsOf({ KEYBROKER_STORE_ENDPOINT: 'https://s.table.core.windows.net' })).toEqual([
      'KEYBROKER_STORE_CONNECTION_STRING and KEYBROKER_STORE_ENDPOINT: only one of them may be set',
    ]);
  });

  test('C4: no problem repeats what was set', () => {
    const marked = 'MARKED secret\u0000';
    const everything = Object.fromEntries(Object.values<Entry<unknown>>(entries).map((entry) => [entry.name, marked]));
    expect(problemsOf(everything).join('\n')).not.toContain('MARKED');
    expect(warningsOf({ APPLICATIONINSIGHTS_CONNECTION_STRING: marked }).join('\n')).not.toContain('MARKED');
    expect(problemsOf(everything).length).toBeGreaterThan(40);
  });

  test('every default lies within its own bounds', () => {
    for (const entry of Object.values<Entry<unknown>>(entries))
      if (entry.standard !== null) expect([entry.name, entry.read(entry.standard).ok]).toEqual([entry.name, true]);
  });

  test('the README table has a row of five cells for each', () => {
    const rows = settingsTable().split('\n').slice(2);
    expect(rows).toHaveLength(Object.keys(entries).length);
    for (const row of rows) expect(row.split('|')).toHaveLength(7);
    expect(new Set(rows.map((row) => row.split('|')[1])).size).toBe(rows.length);
  });
});
