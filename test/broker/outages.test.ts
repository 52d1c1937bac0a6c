import { describe, expect, test } from 'vitest';
import { createOutages } from '../../src/broker/outages.ts';
import type { Access } from '../../src/broker/access.ts';
import type { Parts } from '../../src/broker/parts.ts';
import type { Sight, WitnessTarget } from '../../src/broker/witness.ts';
import { soundVault } from '../../src/domain/access.ts';
import type { Change, VaultHealth } from '../../src/domain/access.ts';
import type { BrokerEvent } from '../../src/domain/event.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { RegisteredServer } from '../../src/domain/server.ts';
import type { CircuitState } from '../../src/ports/circuits.ts';
import { aLatch, aRegisteredWith, gateRules } from '../support/builders.ts';
import { aLink, aRef, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

/** A vault whose circuit is open; no outage of it was met by this instance. */
function rig() {
  const clock = virtualClock();
  const seen = {
    circuit: 'open' as CircuitState,
    sight: 'outage' as Sight,
    latched: false,
    registered: undefined as RegisteredServer | undefined,
    looked: [] as string[],
    health: soundVault,
    events: [] as BrokerEvent[],
  };
  const parts = {
    clock,
    registry: { peekServer: () => seen.registered },
    circuits: { state: () => ({ state: seen.circuit, since: null }) },
    operations: { instance: 'instance-1' },
    rules: { probeMs: millis(2000), gate: gateRules },
    log: () => undefined,
  } as unknown as Parts;
  const known = (): unknown => ({ latch: seen.latched ? aLatch() : null });
  const changeVault = (_vault: string, decide: (stored: VaultHealth) => Change<VaultHealth>): Promise<void> => {
    const change = decide(seen.health);
    seen.health = change?.next ?? seen.health;
    seen.events.push(...(change?.events ?? []));
    return Promise.resolve();
  };
  const picture = () => Promise.resolve({ links: [] });
  const access = { health: () => seen.health, known, picture, changeVault } as unknown as Access;
  const witness = {
    look: ({ ref }: WitnessTarget) => {
      seen.looked.push(ref.keyId);
      if (seen.sight === 'proven') seen.circuit = 'closed';
      return Promise.resolve(seen.sight);
    },
  };
  const { answered, circuitChanged, denied, failedOver, lookAgain, met } = createOutages(parts, access, witness);
  return {
    clock,
    seen,
    met,
    answered,
    denied,
    circuitChanged,
    failedOver,
    /** A call finds the circuit open, at a link that is registered. */
    lookAgain(vault: string, target: WitnessTarget) {
      seen.registered = target.registered;
      lookAgain(vault, target);
    },
  };
}

function standbyTarget(): WitnessTarget {
  const primary = aLink();
  const link = aLink({ keyId: keyId('kv-north'), vault: 'kv-north', role: 'standby', standbyOf: primary.keyId });
  return { registered: { ...aRegisteredWith(), links: [primary, link] }, link, ref: aRef({ keyId: link.keyId, vault: 'kv-north' }) };
}

function target(version = 'a'): WitnessTarget {
  const link = aLink({ keyId: keyId('kv-west', version.repeat(32)) });
  return { registered: { ...aRegisteredWith(), links: [link] }, link, ref: aRef({ keyId: link.keyId }) };
}

describe('F2: a circuit that a call found open is probed, whatever opened it', () => {
  test('at once and every 2 s, until the vault answers; then no more', async () => {
    const { clock, seen, lookAgain } = rig();
    lookAgain('kv-west', target());
    await clock.advance(0);
    expect(seen.looked).toHaveLength(1);
    await clock.advance(6000);
    expect(seen.looked).toHaveLength(4);
    seen.sight = 'proven';
    await clock.advance(2000);
    expect(seen.circuit).toBe('closed');
    await clock.advance(60_000);
    expect(seen.looked).toHaveLength(5);
    expect(clock.pending).toBe(0);
  });

  test('F3: not at the standby of a latched primary, until that is released', async () => {
    const { clock, seen, lookAgain } = rig();
    seen.latched = true;
    lookAgain('kv-north', standbyTarget());
    await clock.advance(60_000);
    expect(seen.looked).toEqual([]);
    seen.latched = false;
    await clock.advance(2000);
    expect(seen.looked).toEqual([keyId('kv-north')]);
  });

  test('not with a key that was unlinked since, which would never answer; the next call brings another', async () => {
    const { clock, seen, lookAgain } = rig();
    lookAgain('kv-west', target('a'));
    await clock.advance(1);
    seen.registered = { ...aRegisteredWith(), links: [] };
    await clock.advance(60_000);
    expect(seen.looked).toEqual([target('a').ref.keyId]);
    // The circuit is open, and nothing is left to look at: nobody wakes for it.
    expect(clock.pending).toBe(0);
    lookAgain('kv-west', target('b'));
    await clock.advance(2000);
    expect(seen.looked.at(-1)).toBe(target('b').ref.keyId);
  });

  test('by one probe at a time, however many calls find it open', async () => {
    const { clock, seen, lookAgain } = rig();
    for (let i = 0; i < 100; i += 1) lookAgain('kv-west', target());
    await clock.advance(1999);
    expect(seen.looked).toHaveLength(1);
  });
});

describe('F3: when an outage began', () => {
  test.each([
    ['is what the first call that met it says', 0, 0],
    ['is what was stored first, by a clock a little ahead too', 1500, 1500],
    ['is stamped anew where a clock that ran ahead has stamped it', 7 * 3_600_000, 60_000],
  ])('%s', async (_what, stampedMs, began) => {
    const { clock, seen, met } = rig();
    const start = clock.now();
    seen.registered = target().registered;
    await met('kv-west', target(), instant(start + stampedMs), 'unwrapKey');
    await clock.advance(60_000);
    await met('kv-west', target(), clock.now(), 'unwrapKey');
    expect(seen.health.outageSince).toBe(start + began);
  });
});

describe('a vault that is half back', () => {
  /** Down for 20 min with a failover; from then on it answers for 2 s, and is down for 8 s. */
  async function brownOut() {
    const one = rig();
    const { clock, seen, met, answered, failedOver } = one;
    seen.registered = target().registered;
    await met('kv-west', target(), clock.now(), 'unwrapKey');
    failedOver('kv-west', 'kv-north');
    await clock.advance(20 * 60_000);
    return {
      ...one,
      async goOn(times: number) {
        for (let i = 0; i < times; i += 1) {
          answered('kv-west', clock.now());
          await clock.advance(2000);
          await met('kv-west', target(), clock.now(), 'unwrapKey');
          failedOver('kv-west', 'kv-north');
          await clock.advance(8000);
        }
      },
    };
  }

  test('F3: after a success its outage begins anew', async () => {
    const { clock, seen, goOn } = await brownOut();
    const began = seen.health.outageSince ?? 0;
    await goOn(6);
    expect(seen.health.outageSince).toBe(clock.now() - 8000);
    expect(seen.health.outageSince).toBeGreaterThan(began);
  });

  test('F8: its failover begins and ends once, told when it has answered for 10 s', async () => {
    const { clock, seen, answered, goOn } = await brownOut();
    await goOn(6);
    answered('kv-west', clock.now());
    await clock.advance(9999);
    answered('kv-west', clock.now());
    expect(seen.events.map(({ type }) => type)).toEqual(['keybroker.failover.started']);
    await clock.advance(1);
    answered('kv-west', clock.now());
    answered('kv-west', clock.now());
    expect(seen.events.map(({ type }) => type)).toEqual(['keybroker.failover.started', 'keybroker.failover.ended']);
    expect(seen.health.failoverSince).toBeNull();
  });
});

describe('F8: a vault that was down denies when it is back', () => {
  async function healedRevoked() {
    const one = rig();
    one.seen.registered = target().registered;
    await one.met('kv-west', target(), one.clock.now(), 'unwrapKey');
    await one.circuitChanged('kv-west', 'open');
    one.failedOver('kv-west', 'kv-north');
    await one.clock.advance(60_000);
    one.seen.events.length = 0;
    const typesTold = () => one.seen.events.map(({ type }) => type);
    return { ...one, since: one.seen.health.outageSince, typesTold };
  }

  test('the failover has ended when it has denied for 10 s; the outage is the first after the last success still', async () => {
    const { clock, seen, circuitChanged, denied, since, typesTold } = await healedRevoked();
    await circuitChanged('kv-west', 'closed');
    for (let s = 0; s <= 20; s += 1) {
      denied('kv-west', clock.now());
      expect(typesTold()).toEqual(['keybroker.circuit.closed', ...(s < 10 ? [] : ['keybroker.failover.ended'])]);
      await clock.advance(1000);
    }
    expect(seen.health).toMatchObject({ failoverSince: null, outageSince: since });
    expect(since).not.toBeNull();
  });

  test('not while an instance has its circuit open (F9: the control plane alone says that it is deleted)', async () => {
    const { clock, circuitChanged, denied, typesTold } = await healedRevoked();
    for (let s = 0; s <= 20; s += 1) {
      denied('kv-west', clock.now());
      await clock.advance(1000);
    }
    expect(typesTold()).toEqual([]);
    await circuitChanged('kv-west', 'closed');
    denied('kv-west', clock.now());
    await clock.advance(10_000);
    denied('kv-west', clock.now());
    expect(typesTold()).toEqual(['keybroker.circuit.closed', 'keybroker.failover.ended']);
  });

  test('not while outages of other keys come in between', async () => {
    const { clock, circuitChanged, denied, met, since, seen, typesTold } = await healedRevoked();
    await circuitChanged('kv-west', 'closed');
    for (let s = 0; s <= 60; s += 1) {
      denied('kv-west', clock.now());
      await clock.advance(500);
      if (s % 5 === 0) await met('kv-west', target('b'), clock.now(), 'unwrapKey');
      await clock.advance(500);
    }
    expect(typesTold()).toEqual(['keybroker.circuit.closed']);
    expect(seen.health.outageSince).toBe(since);
  });

  test('where none is known, a denial is told to nobody', async () => {
    const { clock, denied, met, seen } = rig();
    seen.registered = target().registered;
    await met('kv-west', target(), clock.now(), 'unwrapKey');
    const before = seen.health;
    await clock.advance(60_000);
    denied('kv-west', clock.now());
    expect(seen.health).toBe(before);
  });
});

test('F8: where wraps alone are served by the standby, so that each unwrap ends the outage, the failover is told while the circuit is open', async () => {
  const { seen, answered, circuitChanged, clock, failedOver, met } = rig();
  seen.registered = target().registered;
  await met('kv-west', target(), clock.now(), 'wrapKey');
  await clock.advance(1);
  await circuitChanged('kv-west', 'open');
  answered('kv-west', clock.now());
  expect(seen.health.outageSince).toBeNull();
  failedOver('kv-west', 'kv-north');
  await circuitChanged('kv-west', 'closed');
  expect(seen.events.map(({ type }) => type)).toEqual([
    'keybroker.circuit.opened',
    'keybroker.failover.started',
    'keybroker.circuit.closed',
  ]);
});
