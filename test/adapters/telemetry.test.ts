import { afterEach, describe, expect, test, vi } from 'vitest';
import { createTelemetry } from '../../src/adapters/telemetry.ts';
import { metered, withWaiting } from '../../src/broker/metered.ts';
import type { MeterParts } from '../../src/broker/metered.ts';
import type { BatchRequest, Roads } from '../../src/broker/roads.ts';
import { Dek } from '../../src/domain/dek.ts';
import { done, refuse } from '../../src/domain/refusal.ts';
import { instant, millis } from '../../src/domain/time.ts';
import { noTelemetry } from '../../src/ports/telemetry.ts';
import type { Admission, AdmissionRequest } from '../../src/ports/admission.ts';
import type { EndedOperation, Reading, Telemetry } from '../../src/ports/telemetry.ts';
import { startOtlpReceiver, told } from '../support/otlp-receiver.ts';

const loaded = vi.hoisted(() => ({ times: 0 }));
vi.mock('../../src/adapters/telemetry/instruments.ts', async (original) => {
  loaded.times += 1;
  return await original();
});

const receivers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

async function startReceiver(status = 200) {
  const receiver = await startOtlpReceiver(status);
  receivers.push(receiver);
  return receiver;
}

const about = { insights: null, instance: 'instance-1', deployment: 'urn:keybroker:test', log: () => undefined };
const traceId = '0af7651916cd43dd8448eb211c80319c';
const parent = 'b7ad6b7169203331';

const ended: EndedOperation = {
  operation: 'unwrap',
  server: 'sql-west',
  database: 'orders',
  outcome: 'ok',
  class: 'ok',
  vault: 'kv-west',
  failover: false,
  beganAt: instant(1_800_000_000_250),
  took: millis(12.5),
  trace: { traceparent: `00-${traceId}-${parent}-01`, sampled: true },
};

// The first test of this file: what was loaded once stays loaded.
test('with nobody to export to nothing is loaded', async () => {
  expect(createTelemetry({ ...about, endpoint: null })).toBe(noTelemetry);
  expect(loaded.times).toBe(0);
  const receiver = await startReceiver();
  await createTelemetry({ ...about, endpoint: receiver.endpoint }).close();
  expect(loaded.times).toBe(1);
});

describe('what the collector gets', () => {
  test('a count and a duration in seconds by operation, outcome, class and vault; servers are left to spans', async () => {
    const receiver = await startReceiver();
    const telemetry = createTelemetry({ ...about, endpoint: receiver.endpoint });
    telemetry.operated(ended);
    telemetry.operated({ ...ended, server: 'sql-north' });
    telemetry.operated({ ...ended, outcome: 'KeyAccessDenied', class: 'revoked' });
    await telemetry.close();

    const counted = receiver.metric('keybroker.operations')?.sum?.dataPoints.map((point) => [told(point.attributes), point.asDouble]);
    const common = { 'keybroker.operation': 'unwrap', 'keybroker.failover': false, 'keybroker.vault': 'kv-west' };
    expect(counted).toEqual([
      [{ ...common, 'keybroker.outcome': 'ok', 'keybroker.class': 'ok' }, 2],
      [{ ...common, 'keybroker.outcome': 'KeyAccessDenied', 'keybroker.class': 'revoked' }, 1],
    ]);
    const duration = receiver.metric('keybroker.operation.duration');
    expect(duration?.unit).toBe('s');
    expect(duration?.histogram?.dataPoints[0]).toMatchObject({ count: 2, sum: 0.025 });
  });

  test("one span an operation, below the caller's, with its times", async () => {
    const receiver = await startReceiver();
    const telemetry = createTelemetry({ ...about, endpoint: receiver.endpoint });
    telemetry.operated({ ...ended, outcome: 'VaultUnavailable', class: 'outage' });
    await telemetry.close();

    const [span, ...more] = receiver.spans();
    expect(more).toEqual([]);
    expect(span).toMatchObject({
      name: 'keybroker unwrap',
      traceId,
      parentSpanId: parent,
      startTimeUnixNano: '1800000000250000000',
      endTimeUnixNano: '1800000000262500000',
      status: { code: 2 },
    });
    expect(told(span?.attributes ?? [])).toEqual({
      'keybroker.operation': 'unwrap',
      'keybroker.outcome': 'VaultUnavailable',
      'keybroker.class': 'outage',
      'keybroker.vault': 'kv-west',
      'keybroker.failover': false,
      'keybroker.server': 'sql-west',
      'keybroker.database': 'orders',
      'error.type': 'VaultUnavailable',
    });
  });

  test('no span of a trace that the caller does not keep; its operation is counted', async () => {
    const receiver = await startReceiver();
    const telemetry = createTelemetry({ ...about, endpoint: receiver.endpoint });
    telemetry.operated({ ...ended, trace: { traceparent: `00-${traceId}-${parent}-00`, sampled: false } });
    await telemetry.close();
    expect(receiver.spans()).toEqual([]);
    expect(receiver.metric('keybroker.operations')?.sum?.dataPoints).toHaveLength(1);
  });

  test('readings as they are at the export', async () => {
    const receiver = await startReceiver();
    const telemetry = createTelemetry({ ...about, endpoint: receiver.endpoint });
    let latches = 1;
    telemetry.observe(() => [
      { name: 'keybroker.latches', value: latches, attributes: { 'keybroker.vault': 'kv-west', 'keybroker.latch.status': 'confirmed' } },
      { name: 'keybroker.records.spilled', value: 3, attributes: {} },
    ]);
    latches = 2;
    await telemetry.close();
    const [point] = receiver.metric('keybroker.latches')?.gauge?.dataPoints ?? [];
    expect([told(point?.attributes ?? []), point?.asDouble]).toEqual([
      { 'keybroker.vault': 'kv-west', 'keybroker.latch.status': 'confirmed' },
      2,
    ]);
    expect(receiver.metric('keybroker.records.spilled')?.sum).toMatchObject({ isMonotonic: true, dataPoints: [{ asDouble: 3 }] });
  });

  test('a collector that refuses is said once for each, without what it answered; the end comes all the same', async () => {
    const receiver = await startReceiver(400);
    const lines: string[] = [];
    const telemetry = createTelemetry({ ...about, endpoint: receiver.endpoint, log: (_level, message) => lines.push(message) });
    telemetry.operated(ended);
    await telemetry.close();
    expect(lines.sort()).toEqual(['the collector takes no metrics', 'the collector takes no traces']);
  });
});

const dekBytes = Buffer.alloc(32, 0x5a);
const served = { keyId: 'k', thumbprint: 't', vault: 'kv-north', failover: true, record: 'i/1', algorithm: 'RSA-OAEP-256' };
const attempts = [{ vault: 'kv-west', role: 'primary', class: 'throttled', status: 429, vaultCode: null, ms: millis(3) }];
const context = { caller: { objectId: 'caller-1', roles: new Set<never>() }, requestId: 'request-1', deadline: 1e12 };

function meterParts(telemetry: Telemetry, roads: Partial<Roads> = {}): MeterParts {
  let elapsed = 0;
  return {
    telemetry,
    waiting: () => 4,
    roads: {
      unwrap: () => Promise.resolve(done({ ...served, dek: new Dek(Uint8Array.from(dekBytes)) })),
      wrap: () => Promise.resolve(refuse('Throttled', 'busy', { attempts: attempts as never })),
      watch: () => Promise.resolve(),
      status: () =>
        Promise.resolve(
          done({
            at: instant(61_000),
            servers: { byState: { online: 7, atRisk: 1 } },
            vaults: [
              {
                name: 'kv-west',
                latches: { suspected: 0, confirmed: 1 },
                association: { used: 10, limit: 1000 },
                rate: { used: 20, limit: 900 },
              },
            ],
            audit: { counts: { errors: 2, warnings: 5 } },
            undelivered: { oldestAt: instant(1_000), count: 3 },
          }),
        ),
      ...roads,
    } as unknown as Roads,
    parts: {
      clock: { now: () => instant(1_800_000_000_000), elapsed: () => millis((elapsed += 10)), uuid: () => 'u' },
      circuits: { state: () => ({ state: 'open', since: 1 }) },
      operations: { backlog: () => ({ issued: 9, waiting: 2, spilled: 1 }) },
      registry: { peekVaults: () => [{ name: 'kv-west' }] },
    } as unknown as MeterParts['parts'],
  };
}

/** Keeps what it is told. */
function listening() {
  const operations: EndedOperation[] = [];
  let read: () => readonly Reading[] = () => [];
  const telemetry: Telemetry = {
    listens: true,
    operated: (one) => void operations.push(one),
    observe: (source) => void (read = source),
    close: () => Promise.resolve(),
  };
  return { telemetry, operations, readings: () => read() };
}

const unwrapRequest = { server: 'sql-west', database: 'orders', wrappedDek: dekBytes } as unknown as Parameters<Roads['unwrap']>[0];
const wrapRequest = { server: 'sql-west', database: 'orders', dek: new Dek(Uint8Array.from(dekBytes)) } as Parameters<Roads['wrap']>[0];

describe('roads that are measured', () => {
  test('what an operation came to: the vault that served, or the last attempt', async () => {
    const { telemetry, operations } = listening();
    const roads = metered(meterParts(telemetry));
    const trace = { traceparent: `00-${traceId}-${parent}-01`, sampled: true };
    await roads.unwrap(unwrapRequest, { ...context, trace });
    await roads.wrap(wrapRequest, context);
    expect(operations).toMatchObject([
      { operation: 'unwrap', server: 'sql-west', outcome: 'ok', class: 'ok', vault: 'kv-north', failover: true, took: 10, trace },
      { operation: 'wrap', outcome: 'Throttled', class: 'throttled', vault: 'kv-west', failover: false, trace: null },
    ]);
  });

  /** Three items: of a database, without the form of an operation, of another database. */
  const batchRequest: BatchRequest<unknown> = {
    operation: 'rewrap',
    server: 'sql-west',
    size: 3,
    database: (index) => ['orders', undefined, 'stock'][index],
    item: () => Promise.resolve(done('done')),
  };
  const untried = { operation: 'rewrap', server: 'sql-west', class: null, vault: null, failover: false };

  test('items of a batch that no road was asked for count too, and those alone: the road counts the others', async () => {
    const { telemetry, operations } = listening();
    const late = refuse('DeadlineExceeded', 'cancelled');
    const batch: Roads['batch'] = async ({ item }, about) => done([await item(0, about), late, late]);
    const roads = metered(meterParts(telemetry, { batch }));
    expect(await roads.batch(batchRequest, context)).toEqual(done([done('done'), late, late]));
    expect(operations).toMatchObject([{ ...untried, database: 'stock', outcome: 'DeadlineExceeded', took: 10 }]);
  });

  test.each([
    ['ServerInaccessible', ['orders', 'stock']],
    ['CallerNotAllowed', []],
    ['StateUnavailable', []],
  ] as const)('of a batch that is refused as a whole, %s, those items count that leave a record', async (code, databases) => {
    const { telemetry, operations } = listening();
    const refused = refuse(code, 'as a whole');
    const roads = metered(meterParts(telemetry, { batch: () => Promise.resolve(refused) }));
    expect(await roads.batch(batchRequest, context)).toEqual(refused);
    expect(operations).toMatchObject(databases.map((database) => ({ ...untried, database, outcome: code })));
  });

  test('circuits, queue and records at any time; the fleet as the last watch saw it, for a minute', async () => {
    const { telemetry, readings } = listening();
    const parts = meterParts(telemetry);
    const roads = metered(parts);
    const values = (): Record<string, number> =>
      Object.fromEntries(readings().map(({ name, value, attributes }) => [[name, ...Object.values(attributes)].join(' '), value]));
    const own = {
      'keybroker.records.waiting': 2,
      'keybroker.records.spilled': 1,
      'keybroker.queue.length kv-west': 4,
      'keybroker.circuit.state kv-west closed': 0,
      'keybroker.circuit.state kv-west open': 1,
      'keybroker.circuit.state kv-west halfOpen': 0,
    };
    expect(values()).toEqual(own);
    await roads.watch();
    expect(values()).toEqual({
      ...own,
      'keybroker.outbox.age': 60,
      'keybroker.outbox.events': 3,
      'keybroker.servers online': 7,
      'keybroker.servers atRisk': 1,
      'keybroker.audit.findings error': 2,
      'keybroker.audit.findings warning': 5,
      'keybroker.budget.used kv-west association': 10,
      'keybroker.budget.limit kv-west association': 1000,
      'keybroker.budget.used kv-west rate': 20,
      'keybroker.budget.limit kv-west rate': 900,
      'keybroker.latches kv-west suspected': 0,
      'keybroker.latches kv-west confirmed': 1,
    });
    for (let looks = 0; looks < 6000; looks += 1) parts.parts.clock.elapsed();
    expect(values()).toEqual(own);
  });

  test('with the store away nothing is said of the fleet', async () => {
    const { telemetry, readings } = listening();
    let away = false;
    const parts = meterParts(telemetry);
    const { status } = parts.roads;
    const roads = metered({
      ...parts,
      roads: {
        ...parts.roads,
        status: (page, about) => (away ? Promise.resolve(refuse('StateUnavailable', 'the store is away')) : status(page, about)),
      },
    });
    await roads.watch();
    expect(readings().some(({ name }) => name === 'keybroker.servers')).toBe(true);
    away = true;
    await roads.watch();
    expect(readings().some(({ name }) => name === 'keybroker.servers')).toBe(false);
  });

  test('where nobody listens they are the very same', () => {
    const parts = meterParts(noTelemetry);
    expect(metered(parts)).toBe(parts.roads);
  });

  test('C4: no byte of a key and no name of a caller reaches the collector', async () => {
    const receiver = await startReceiver();
    const telemetry = createTelemetry({ ...about, endpoint: receiver.endpoint });
    const roads = metered(meterParts(telemetry));
    await roads.watch();
    const trace = { traceparent: `00-${traceId}-${parent}-01`, sampled: true };
    await roads.unwrap(unwrapRequest, { ...context, trace });
    await roads.wrap(wrapRequest, { ...context, trace });
    await telemetry.close();
    expect(receiver.spans().map(({ name }) => name)).toEqual(['keybroker unwrap', 'keybroker wrap']);
    expect(receiver.metric('keybroker.circuit.state')?.gauge?.dataPoints).toHaveLength(3);
    const forms = ['base64', 'base64url', 'hex', 'latin1'] as const;
    const secrets = [...forms.map((form) => dekBytes.toString(form)), [...dekBytes].join(','), context.caller.objectId, context.requestId];
    expect(secrets.filter((secret) => receiver.text().includes(secret))).toEqual([]);
  });
});

test('B4: calls that wait are counted until they go on or are refused', async () => {
  let goOn: (answer: undefined) => void = () => undefined;
  const answers = [undefined, new Promise<undefined>((resolve) => (goOn = resolve)), millis(100)];
  const { admission, waiting } = withWaiting({ admit: () => answers.shift() } as unknown as Admission);
  const request = { vault: 'kv-west' } as AdmissionRequest;
  expect(admission.admit(request)).toBeUndefined();
  expect(waiting('kv-west')).toBe(0);
  const queued = admission.admit(request);
  expect(waiting('kv-west')).toBe(1);
  expect(admission.admit(request)).toBe(100);
  expect(waiting('kv-west')).toBe(1);
  goOn(undefined);
  await queued;
  expect(waiting('kv-west')).toBe(0);
});
