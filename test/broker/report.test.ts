import { afterEach, expect, test } from 'vitest';
import { createAccess } from '../../src/broker/access.ts';
import { createOutages } from '../../src/broker/outages.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { startReporting } from '../../src/broker/report.ts';
import { createWatch } from '../../src/broker/watch.ts';
import { millis } from '../../src/domain/time.ts';
import type { CircuitState } from '../../src/ports/circuits.ts';
import type { InstanceReport } from '../../src/ports/instances.ts';
import { denialRules, gateRules, second, stateRules } from '../support/builders.ts';
import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryInstances } from '../support/memory-instances.ts';
import { createMemoryRegistry } from '../support/memory-registry.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { aVault } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

const clockAndStore = () => ({ clock: virtualClock(), store: createMemoryStore() });

/** An instance on the shared store that reports from its start. */
async function anInstance(instance: string, { clock, store }: ReturnType<typeof clockAndStore>) {
  const registry = createMemoryRegistry(store);
  await registry.addVault(aVault('kv-west'));
  const seen = { circuit: 'closed' as CircuitState };
  const parts = {
    clock,
    registry,
    accessLog: createMemoryAccessLog(store, clock),
    instances: createMemoryInstances(store),
    circuits: { state: () => ({ state: seen.circuit, since: null }) },
    latencies: { of: () => ({ p50Ms: null, p99Ms: null }) },
    operations: { instance, backlog: () => ({ issued: 0, waiting: 0, spilled: 0 }) },
    rules: {
      pictureMaxAgeMs: millis(1000),
      probeMs: millis(2000),
      instanceGoneMs: millis(45_000),
      denial: denialRules,
      gate: gateRules,
      state: stateRules,
    },
    log: () => undefined,
  } as unknown as Parts;
  const access = createAccess(parts);
  const witness = { look: () => Promise.resolve('undecided' as const) };
  const outages = createOutages(parts, access, witness);
  const end = startReporting(parts, outages);
  ends.push(end);
  await clock.advance(1);
  return { seen, outages, end, watch: createWatch({ parts, access, outages, witness }), parts };
}

const openAt = async ({ parts }: Awaited<ReturnType<typeof anInstance>>) =>
  Object.keys((await parts.accessLog.read('kv-west')).health.openAt);

test('F2: the open circuit of an instance that never watches stays open in the store, while another watches', async () => {
  const shared = clockAndStore();
  const watching = await anInstance('instance-1', shared);
  const other = await anInstance('instance-2', shared);
  other.seen.circuit = 'open';
  await other.outages.circuitChanged('kv-west', 'open');
  for (let pass = 0; pass < 8; pass += 1) {
    await watching.watch();
    await shared.clock.advance(15 * second);
  }
  expect(await openAt(watching)).toEqual(['instance-2']);
  const reports: readonly InstanceReport[] = await watching.parts.instances.read();
  expect(reports.map(({ vaults }) => vaults['kv-west']?.circuit)).toEqual(['closed', 'open']);
});

test('F2: that of an instance which has ended is taken out after 45 s', async () => {
  const shared = clockAndStore();
  const watching = await anInstance('instance-1', shared);
  const other = await anInstance('instance-2', shared);
  await other.outages.circuitChanged('kv-west', 'open');
  other.seen.circuit = 'open';
  other.end();
  await shared.clock.advance(46 * second);
  await watching.watch();
  expect(await openAt(watching)).toEqual([]);
});

test.each(['open', 'closed'] as const)('F2: that a circuit is %s is told when the store is back', async (state) => {
  const shared = clockAndStore();
  const own = await anInstance('instance-1', shared);
  if (state === 'closed') await own.outages.circuitChanged('kv-west', 'open');
  own.seen.circuit = state;
  shared.store.away = true;
  await own.outages.circuitChanged('kv-west', state);
  await shared.clock.advance(30 * second);
  shared.store.away = false;
  await shared.clock.advance(15 * second);
  expect(await openAt(own)).toEqual(state === 'open' ? ['instance-1'] : []);
});

test('F2: a circuit that was taken out as if its instance had gone, since its reports were late, is told again', async () => {
  const shared = clockAndStore();
  const watching = await anInstance('instance-1', shared);
  const late = await anInstance('instance-2', shared);
  late.seen.circuit = 'open';
  await late.outages.circuitChanged('kv-west', 'open');
  await late.parts.instances.forget('instance-2');
  await watching.watch();
  expect(await openAt(watching)).toEqual([]);
  // Nobody uses it, so that nothing else tells it what is stored.
  await shared.clock.advance(15 * second);
  expect(await openAt(watching)).toEqual(['instance-2']);
});

test('an instance reports every 15 s until it ends, whatever the store does meanwhile', async () => {
  const shared = clockAndStore();
  const own = await anInstance('instance-1', shared);
  const reportedAt = async () => (await own.parts.instances.read())[0]?.at;
  const begun = await reportedAt();
  shared.store.away = true;
  await shared.clock.advance(15 * second);
  shared.store.away = false;
  expect(await reportedAt()).toBe(begun);
  await shared.clock.advance(15 * second);
  expect(await reportedAt()).toBe(shared.clock.now() - 1);
  own.end();
  await shared.clock.advance(15 * second);
  expect(shared.clock.pending).toBe(0);
});
