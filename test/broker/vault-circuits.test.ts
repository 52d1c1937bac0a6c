import { beforeEach, describe, expect, test } from 'vitest';
import type { VaultView } from '../../src/broker/fleet-views.ts';
import { soundVault } from '../../src/domain/access.ts';
import type { VaultHealth } from '../../src/domain/access.ts';
import { millis } from '../../src/domain/time.ts';
import type { Instant } from '../../src/domain/time.ts';
import type { CircuitState } from '../../src/ports/circuits.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { vaultNamed } from '../model/world/vaults.ts';
import type { AuditFleet, AuditInstance } from '../support/audit-fleet.ts';
import { auditFleet } from '../support/audit-fleet.ts';
import { aCaller, aContext, second } from '../support/builders.ts';
import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryInstances } from '../support/memory-instances.ts';
import { createMemoryRegistry } from '../support/memory-registry.ts';
import { aVault } from '../support/stored-values.ts';

/* F2: the circuit of a vault over all instances, as instance `one` shows it. */

const context = aContext(aCaller(['KeyBroker.Auditor']));

let fleet: AuditFleet;
let one: AuditInstance;
beforeEach(async () => {
  fleet = await auditFleet();
  one = fleet.start('one');
  for (const name of ['one', 'two', 'three']) await reports(name, 'closed');
});

/** What an instance says every 15 s; its circuit to West. */
async function reports(instance: string, circuit: CircuitState): Promise<void> {
  const at = fleet.clock.now();
  const vaults = { west: { circuit, since: circuit === 'closed' ? null : at, p50Ms: null, p99Ms: null } };
  await createMemoryInstances(fleet.store).report({ instance, startedAt: at, at, vaults, records: { issued: 0, waiting: 0, spilled: 0 } });
}

/** Stores which instances have an open circuit to West. */
async function stored(openAt: VaultHealth['openAt']): Promise<void> {
  await createMemoryAccessLog(fleet.store, fleet.clock).changeVault('west', (health) => ({ next: { ...health, openAt }, events: [] }));
}

async function shown(name = 'west'): Promise<VaultView['circuit']> {
  const answer = await one.roads.getVault(name, context);
  if (!answer.ok) throw new Error(answer.refusal.detail);
  return answer.value.circuit;
}

async function listed(limit = 100): Promise<readonly VaultView[]> {
  const answer = await one.roads.listVaults({ after: null, limit }, context);
  if (!answer.ok) throw new Error(answer.refusal.detail);
  return answer.value.items;
}

async function inStatus(): Promise<VaultView['circuit'] | undefined> {
  const answer = await one.roads.status({ after: null, limit: 100 }, context);
  if (!answer.ok) throw new Error(answer.refusal.detail);
  return answer.value.vaults.find(({ name }) => name === 'west')?.circuit;
}

describe('what is stored as it changes goes before what was reported up to 15 s ago', () => {
  const open = { state: 'open', instances: { closed: 2, open: 1, halfOpen: 0 } };
  const closed = { state: 'closed', since: null, instances: { closed: 3, open: 0, halfOpen: 0 } };

  test('a circuit that opened at another instance is open at once, and closed at once', async () => {
    const since: Instant = fleet.clock.now();
    await stored({ two: since });
    expect(await shown()).toEqual({ ...open, since });
    expect((await listed()).find(({ name }) => name === 'west')?.circuit).toEqual({ ...open, since });
    expect(await inStatus()).toEqual({ ...open, since });
    await reports('two', 'open');
    await stored({});
    await fleet.clock.advance(1001);
    expect(await shown()).toEqual(closed);
    expect((await listed()).find(({ name }) => name === 'west')?.circuit).toEqual(closed);
    expect(await inStatus()).toEqual(closed);
  });

  test('the row of a vault is read at most once a second', async () => {
    const read: string[] = [];
    fleet.store.before = (_access, key) => void read.push(key);
    for (let i = 0; i < 10; i += 1) await shown();
    expect(read.filter((key) => key.startsWith('access/'))).toEqual(['access/west/health']);
  });

  test('half open is what its own report says', async () => {
    await stored({ two: fleet.clock.now(), three: fleet.clock.now() });
    await reports('two', 'halfOpen');
    expect(await shown()).toMatchObject({ state: 'open', instances: { closed: 1, open: 1, halfOpen: 1 } });
    await stored({ two: fleet.clock.now() });
    await fleet.clock.advance(1001);
    expect(await shown()).toMatchObject({ state: 'halfOpen', instances: { closed: 2, open: 0, halfOpen: 1 } });
  });

  test('of its own circuit an instance knows best', async () => {
    await stored({ one: fleet.clock.now() });
    expect(await shown()).toEqual(closed);
  });

  test.each([
    ['is away', () => new StoreAway('away')],
    ['cannot be read', () => new Unreadable('a row')],
  ])('where what is stored %s, the reports are all there is', async (_what, reason) => {
    await reports('two', 'open');
    fleet.store.before = (access, key) => {
      if (access === 'read' && key.startsWith('access/')) throw reason();
    };
    expect(await shown()).toMatchObject(open);
  });
});

describe('every live instance counts', () => {
  test('also where none has said anything of the vault, from its registration on', async () => {
    const operator = aContext(aCaller(['KeyBroker.Operator']));
    const put = await one.roads.putVault(aVault('kv-new'), operator);
    const all = { closed: 3, open: 0, halfOpen: 0 };
    expect(put).toMatchObject({ ok: true, value: { value: { circuit: { state: 'closed', instances: all } } } });
    expect((await shown('kv-new')).instances).toEqual(all);
  });

  test('one that is gone while its circuit is open counts until the feed tells that it was taken out', async () => {
    await stored({ two: fleet.clock.now() });
    await fleet.clock.advance(46 * second);
    for (const name of ['one', 'three']) await reports(name, 'closed');
    expect(await shown()).toMatchObject({ state: 'open', instances: { closed: 2, open: 1 } });
    expect(await fleet.events('keybroker.circuit.closed')).toHaveLength(0);
    await one.roads.watch();
    expect(await fleet.events('keybroker.circuit.closed')).toHaveLength(1);
    expect(await shown()).toMatchObject({ state: 'closed', instances: { closed: 2, open: 0 } });
  });
});

test('a list reads what is stored of its vaults side by side, at most 16 at once', async () => {
  const registry = createMemoryRegistry(fleet.store);
  for (let n = 0; n < 60; n += 1) await registry.addVault({ ...vaultNamed('west'), name: `kv-${n}`, uri: `https://kv-${n}.example/` });
  const accessLog = createMemoryAccessLog(fleet.store, fleet.clock);
  const seen = { now: 0, most: 0 };
  one = fleet.start('one', {
    accessLog: {
      ...accessLog,
      async changeVault() {
        seen.now += 1;
        seen.most = Math.max(seen.most, seen.now);
        await fleet.clock.pause(millis(second));
        seen.now -= 1;
        return soundVault;
      },
    },
  });
  const list = listed();
  await fleet.clock.advance(4 * second);
  expect(await list).toHaveLength(63);
  expect(seen.most).toBe(16);
});
