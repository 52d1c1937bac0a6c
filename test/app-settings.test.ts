import { afterAll, expect, test, vi } from 'vitest';
import type * as registries from '../src/adapters/tables/registry.ts';
import type * as admissions from '../src/broker/admission.ts';
import type * as composed from '../src/broker/compose.ts';
import { createMemoryTables } from './support/memory-tables.ts';

/** What the parts of the broker were given. */
const given = vi.hoisted(() => new Map<string, unknown>());

vi.mock('../src/adapters/tables/store.ts', () => ({ openStore: () => createMemoryTables().open() }));
vi.mock('../src/broker/admission.ts', async (original) => {
  const { createAdmission } = await original<typeof admissions>();
  const create: typeof createAdmission = (parts) => {
    given.set('rate rules', parts.rules.clockSkewMs);
    return createAdmission(parts);
  };
  return { createAdmission: create };
});
vi.mock('../src/adapters/tables/registry.ts', async (original) => {
  const { createRegistry } = await original<typeof registries>();
  const create: typeof createRegistry = (store, options) => {
    given.set('change feed', options.clockSkewMs);
    return createRegistry(store, options);
  };
  return { createRegistry: create };
});
vi.mock('../src/broker/compose.ts', async (original) => {
  const { createRoads } = await original<typeof composed>();
  const create: typeof createRoads = (parts) => {
    given.set('gate', parts.rules.gate.clockSkewMs);
    return createRoads(parts);
  };
  return { createRoads: create };
});

afterAll(() => {
  vi.unstubAllEnvs();
});

test('B2, F3: how far clocks may differ is told to the rate rules, to the gate and to the change feed', async () => {
  vi.stubEnv('KEYBROKER_TENANT_ID', '11111111-2222-4333-8444-555555555555');
  vi.stubEnv('KEYBROKER_AUDIENCE', 'api://keybroker');
  vi.stubEnv('KEYBROKER_STORE_CONNECTION_STRING', 'UseDevelopmentStorage=true');
  vi.stubEnv('KEYBROKER_CLOCK_SKEW_MS', '7000');
  const { broker } = await import('../src/app.ts');
  await broker.close();
  expect(Object.fromEntries(given)).toEqual({ 'rate rules': 7000, gate: 7000, 'change feed': 7000 });
});
