import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fault } from '../../src/adapters/fault.ts';
import type { Identities } from '../../src/adapters/identity.ts';
import { insightsTarget } from '../../src/adapters/insights-target.ts';
import { createTelemetry } from '../../src/adapters/telemetry.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { EndedOperation } from '../../src/ports/telemetry.ts';
import { systemClock } from '../../src/adapters/clock.ts';
import { createAuthority } from '../local/certificates.ts';
import type { Certified } from '../local/certificates.ts';
import { instrumentationKey, startInsightsReceiver } from '../support/insights-receiver.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';

const closing: { close(): Promise<void> }[] = [];
beforeEach(() => {
  // The exporter would tell its maker of itself, over the network.
  vi.stubEnv('APPLICATION_INSIGHTS_NO_STATSBEAT', '1');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const one of closing.splice(0)) await one.close();
});

async function startReceiver(status = 200, certified?: Certified) {
  const receiver = await startInsightsReceiver(status, certified);
  closing.push(receiver);
  return receiver;
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parent = 'b7ad6b7169203331';
const ended: EndedOperation = {
  operation: 'unwrap',
  server: 'sql-west',
  database: 'orders',
  outcome: 'VaultUnavailable',
  class: 'outage',
  vault: 'kv-west',
  failover: false,
  beganAt: instant(1_800_000_000_250),
  took: millis(12.5),
  trace: { traceparent: `00-${traceId}-${parent}-01`, sampled: true },
};

/** Tokens that name who asked for what; none for an identity that is not there. */
const identities: Identities = {
  token: (identity, scope) =>
    identity === 'absent'
      ? { ok: false, fault: fault('identityOutage', 'no such identity') }
      : { ok: true, token: `token-of-${identity ?? 'the-broker'}-for-${scope}` },
  renew: () => Promise.reject(new Error('not asked for')),
};

async function tell(
  connectionString: string,
  options: { readonly clientId?: string | null; readonly endpoint?: string; readonly log?: (line: string) => void } = {},
): Promise<void> {
  const { clientId, endpoint = null, log } = options;
  const insightsIdentity = clientId === undefined ? null : { clientId };
  const telemetry = createTelemetry({
    endpoint,
    insights: insightsTarget({ insights: connectionString, insightsIdentity }, identities, systemClock),
    instance: 'instance-1',
    deployment: 'urn:keybroker:test',
    log: (_level, message) => log?.(message),
  });
  telemetry.operated(ended);
  telemetry.observe(() => [{ name: 'keybroker.latches', value: 2, attributes: { 'keybroker.vault': 'kv-west' } }]);
  await telemetry.close();
}

describe('what Application Insights gets', () => {
  test("metrics, and a span below the caller's, under the key of its connection string", async () => {
    const receiver = await startReceiver();
    await tell(receiver.connectionString);
    expect(receiver.metric('keybroker.operations')).toEqual([
      {
        value: 1,
        count: 1,
        attributes: {
          'keybroker.operation': 'unwrap',
          'keybroker.outcome': 'VaultUnavailable',
          'keybroker.class': 'outage',
          'keybroker.vault': 'kv-west',
          'keybroker.failover': 'false',
        },
      },
    ]);
    expect(receiver.metric('keybroker.operation.duration')).toMatchObject([{ value: 0.0125, count: 1 }]);
    expect(receiver.metric('keybroker.latches')).toMatchObject([{ value: 2, attributes: { 'keybroker.vault': 'kv-west' } }]);
    const [span, ...more] = receiver.spans();
    expect(more).toEqual([]);
    expect(span?.tags).toMatchObject({
      'ai.operation.id': traceId,
      'ai.operation.parentId': parent,
      'ai.cloud.roleInstance': 'instance-1',
    });
    expect(span?.data.baseData).toMatchObject({ name: 'keybroker unwrap', success: false, properties: { 'keybroker.database': 'orders' } });
    expect(new Set(receiver.envelopes().map(({ iKey }) => iKey))).toEqual(new Set([instrumentationKey]));
    expect(receiver.received().map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
  });

  test.each([
    [null, 'the-broker'],
    ['client-2', 'client-2'],
  ])('is written to by the managed identity that is named: %s', async (clientId, who) => {
    const authority = createAuthority('the authority of a test');
    const trusted = getCACertificates('default');
    setDefaultCACertificates([...trusted, authority.cert]);
    const receiver = await startReceiver(200, authority.issue('localhost'));
    await tell(receiver.connectionString, { clientId });
    setDefaultCACertificates(trusted);
    const token = `token-of-${who}-for-https://monitor.azure.com/.default`;
    expect(receiver.received().map(({ authorization }) => authorization)).toEqual([`Bearer ${token}`, `Bearer ${token}`]);
    expect(receiver.text()).not.toContain(token);
  });

  test('without a token nothing is sent, and that is said without a word of the identity', async () => {
    const receiver = await startReceiver();
    const lines: string[] = [];
    await tell(receiver.connectionString, { clientId: 'absent', log: (line) => lines.push(line) });
    expect(receiver.received()).toEqual([]);
    expect(lines.sort()).toEqual(['Application Insights takes no metrics', 'Application Insights takes no traces']);
  });

  test.each([400, 401, 403, 429, 500, 503])(
    'a receiver that answers %i is said once for each; the end comes all the same',
    async (status) => {
      const receiver = await startReceiver(status);
      const lines: string[] = [];
      await tell(receiver.connectionString, { log: (line) => lines.push(line) });
      expect(lines.sort()).toEqual(['Application Insights takes no metrics', 'Application Insights takes no traces']);
    },
  );

  test('a receiver that hangs is said as one that refuses, and its connections are not kept', async () => {
    let asked = 0;
    const receiver = createServer(() => void (asked += 1));
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    closing.push({
      async close() {
        receiver.closeAllConnections();
        await new Promise((resolve) => receiver.close(resolve));
      },
    });
    const lines: string[] = [];
    const endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    await tell(`InstrumentationKey=${instrumentationKey};IngestionEndpoint=${endpoint}`, { log: (line) => lines.push(line) });
    expect(asked).toBe(2);
    await vi.waitFor(
      async () => {
        expect(lines.sort()).toEqual(['Application Insights takes no metrics', 'Application Insights takes no traces']);
        expect(await new Promise((resolve) => receiver.getConnections((_error, count) => resolve(count)))).toBe(0);
      },
      { timeout: 4_000 },
    );
  });

  test('beside a collector: both get everything', async () => {
    const receiver = await startReceiver();
    const collector = await startOtlpReceiver();
    closing.push(collector);
    await tell(receiver.connectionString, { endpoint: collector.endpoint });
    expect(receiver.spans()).toHaveLength(1);
    expect(collector.spans()).toHaveLength(1);
    expect(receiver.metric('keybroker.operations')).toHaveLength(1);
    expect(collector.metric('keybroker.operations')?.sum?.dataPoints).toHaveLength(1);
  });
});
