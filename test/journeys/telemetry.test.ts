import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { hostToken } from '../local/callers.ts';
import { startEnvironment } from '../local/environment.ts';
import type { Environment } from '../local/environment.ts';
import { startOtlpReceiver, told } from '../support/otlp-receiver.ts';

/** Asks again, at most for a minute: metrics leave every 15 s. */
async function until<T>(look: () => T | undefined): Promise<T> {
  return await vi.waitUntil(look, { timeout: 60_000, interval: 100 });
}

let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
let environment: Environment;
beforeAll(async () => {
  receiver = await startOtlpReceiver();
  environment = await startEnvironment({ settings: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint } });
});
afterAll(async () => {
  await environment.stop();
  await receiver.close();
});

it('C4: the collector gets the metrics and the span of a key operation, and nothing secret', async () => {
  const [server] = environment.servers;
  const [broker] = environment.brokers.list();
  if (!server || !broker) throw new Error('no server or no broker was started');
  const token = hostToken(environment.issuer, server.principalId);
  const dek = Buffer.alloc(32, 0x5a);
  const [traceId, parentSpanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
  const response = await fetch(`${broker.url}/v1/servers/${server.name}/databases/orders/wrap`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', traceparent: `00-${traceId}-${parentSpanId}-01` },
    body: JSON.stringify({ dek: dek.toString('base64url') }),
  });
  expect(response.status).toBe(200);
  const { vault, wrappedDek } = (await response.json()) as Record<'vault' | 'wrappedDek', string>;
  const span = await until(() => receiver.spans().find((one) => one.traceId === traceId));
  await until(() => receiver.metric('keybroker.operations'));
  expect(span).toMatchObject({ name: 'keybroker wrap', parentSpanId });
  const attributes = { 'keybroker.operation': 'wrap', 'keybroker.outcome': 'ok', 'keybroker.vault': vault };
  expect(told(span.attributes)).toMatchObject({ ...attributes, 'keybroker.server': server.name, 'keybroker.database': 'orders' });
  const counted = receiver.metric('keybroker.operations')?.sum?.dataPoints.map((point) => told(point.attributes));
  expect(counted).toContainEqual({ ...attributes, 'keybroker.class': 'ok', 'keybroker.failover': false });
  const circuits = receiver.metric('keybroker.circuit.state')?.gauge?.dataPoints.map((point) => told(point.attributes));
  expect(circuits).toContainEqual({ 'keybroker.vault': vault, 'keybroker.circuit.state': 'closed' });
  const secrets = [dek.toString('base64url'), dek.toString('hex'), wrappedDek, token];
  expect(secrets.filter((secret) => receiver.text().includes(secret))).toEqual([]);
}, 120_000);
