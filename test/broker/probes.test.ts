import { expect, test } from 'vitest';
import type { Access } from '../../src/broker/access.ts';
import { createOutages } from '../../src/broker/outages.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { targetOf } from '../../src/broker/witness.ts';
import type { Sight, WitnessTarget } from '../../src/broker/witness.ts';
import { soundVault } from '../../src/domain/access.ts';
import type { Change, LinkAccess, LinkRef, VaultHealth } from '../../src/domain/access.ts';
import type { Fault } from '../../src/domain/fault.ts';
import { millis } from '../../src/domain/time.ts';
import type { KeyTarget } from '../../src/ports/vault.ts';
import { simulatedCircuits } from '../model/world/circuits.ts';
import { aFault, aLatch, anUntried, aRegisteredWith, gateRules, noon } from '../support/builders.ts';
import { aLink, aVault, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const outage = aFault();
const revoked = aFault({ class: 'revoked', status: 403, code: 'ForbiddenByRbac', reach: 'identity' });

/** One instance that looks at the vault kv-west, whose wraps fail. */
function rig() {
  const clock = virtualClock(noon);
  const changes: string[] = [];
  const circuits = simulatedCircuits(clock, (_vault, state) => changes.push(state));
  const one = {
    clock,
    circuits,
    changes,
    /** What reached the vault: the operation and the first letter of the key's version. */
    calls: [] as string[],
    wrap: outage as Fault | undefined,
    unwrap: undefined as Fault | undefined,
    /** Whether the control plane says so. */
    deleted: false,
    room: true,
    /** What the picture of the vault shows. */
    linked: [] as WitnessTarget[],
    /** Keys whose wraps fail, beside `wrap`, which is of all. */
    badKeys: new Set<string>(),
    known: new Map<string, Partial<LinkAccess>>(),
    /** What was stored of links, and told of vaults. */
    stored: [] as string[],
    health: soundVault,
  };
  const link = new Map<string, WitnessTarget>();
  function call(operation: string, { keyId: key }: Pick<KeyTarget, 'keyId'>, fault: Fault | undefined) {
    one.calls.push(`${operation} ${key.at(-1)}`);
    const head = { sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1) };
    return Promise.resolve(
      fault === undefined ? ({ ...head, ok: true, value: new Uint8Array(8) } as const) : ({ ...head, ok: false, fault } as const),
    );
  }
  const parts = {
    clock,
    circuits,
    admission: {
      admit: () => (one.room ? undefined : millis(1000)),
      ended: () => undefined,
      throttled: (vault: string) => one.stored.push(`throttled ${vault}`),
    },
    registry: { peekServer: (name: string) => link.get(name)?.registered, peekVault: () => aVault() },
    vaults: { wrap: (target: KeyTarget) => call('wrap', target, one.badKeys.has(target.keyId) ? outage : one.wrap) },
    rules: {
      attemptMs: millis(2000),
      probeMs: millis(2000),
      gate: gateRules,
      association: { points: { GeneralPurpose: 2, BusinessCritical: 5 } },
    },
    log: () => undefined,
  } as unknown as Parts;
  const note = (what: string) => (ref: LinkRef) => Promise.resolve(one.stored.push(`${what} ${ref.keyId.at(-1)}`));
  const access = {
    health: () => one.health,
    known: (ref: LinkRef) => anUntried(ref, one.known.get(ref.keyId)),
    picture: () => Promise.resolve({ links: one.linked.map(({ ref }) => anUntried(ref)) }),
    changeVault(_vault: string, decide: (stored: VaultHealth) => Change<VaultHealth>) {
      one.health = decide(one.health)?.next ?? one.health;
      return Promise.resolve();
    },
    otherDenied: note('denied'),
    refused: note('refused'),
    allowed: note('allowed'),
  } as unknown as Access;
  const witness = {
    async look({ link: { keyId: key } }: WitnessTarget): Promise<Sight> {
      const reply = await circuits.canary('kv-west', { keyId: key, operation: 'unwrapKey' }, () =>
        call('unwrap', { keyId: key }, one.unwrap),
      );
      if (reply === undefined) return 'unasked';
      if (reply.ok) return 'proven';
      if (reply.fault.class === 'throttled') return 'throttled';
      return reply.fault.class === 'outage' && !one.deleted ? 'outage' : 'denied';
    },
  };
  const outages = createOutages(parts, access, witness);
  return {
    ...one,
    outages,
    one,
    /** A link of a server of its own, named by the letter of its key. */
    target(letter: string, changed: Parameters<typeof aLink>[0] = {}): WitnessTarget {
      const own = aLink({ keyId: keyId('kv-west', letter.repeat(32)), ...changed });
      const registered = aRegisteredWith({ name: `sql-${letter}` });
      const found = targetOf({ ...registered, links: [own] }, own);
      link.set(found.ref.server, found);
      return found;
    },
    meet: (target: WitnessTarget, operation: 'wrapKey' | 'unwrapKey') => outages.met('kv-west', target, clock.now(), operation),
  };
}

test('F2: wraps fail alone: a canary wrap opens the circuit for them, once, and closes it when one is answered', async () => {
  const { calls, changes, circuits, clock, meet, one, target } = rig();
  await meet(target('a'), 'wrapKey');
  await clock.advance(0);
  expect(calls).toEqual(['unwrap a', 'wrap a']);
  expect(circuits.state('kv-west', 'wrapKey').state).toBe('open');
  expect(circuits.state('kv-west', 'unwrapKey').state).toBe('closed');
  await clock.advance(20_000);
  // One call a probe, each 2 s: of unwraps there is no doubt.
  expect(calls.slice(2)).toEqual(Array.from({ length: 10 }, () => 'wrap a'));
  expect(changes).toEqual(['open']);
  one.wrap = undefined;
  await clock.advance(2000);
  expect(changes).toEqual(['open', 'closed']);
  await clock.advance(60_000);
  expect(calls).toHaveLength(2 + 11);
  expect(clock.pending).toBe(0);
});

test('F2: while only unwraps were met out, no wrap is asked for', async () => {
  const { calls, changes, clock, meet, one, target } = rig();
  one.unwrap = outage;
  await meet(target('a'), 'unwrapKey');
  await clock.advance(4000);
  one.unwrap = undefined;
  await clock.advance(60_000);
  expect(changes).toEqual(['open', 'closed']);
  expect(calls).toEqual(['unwrap a', 'unwrap a', 'unwrap a', 'unwrap a']);
});

test('F2: where both fail, wraps are asked for when unwraps are answered again, and the outage ends with the last of them', async () => {
  const { calls, changes, clock, meet, one, target } = rig();
  one.unwrap = outage;
  await meet(target('a'), 'wrapKey');
  await clock.advance(2000);
  expect(calls).toEqual(['unwrap a', 'unwrap a']);
  one.unwrap = undefined;
  await clock.advance(2000);
  expect(calls.slice(2)).toEqual(['unwrap a', 'wrap a']);
  expect(one.health.outageSince).not.toBeNull();
  one.wrap = undefined;
  await clock.advance(2000);
  // Open for all; then for nothing, until the canary wrap opened it for wraps.
  expect(changes).toEqual(['open', 'closed', 'open', 'closed']);
  expect(one.health.outageSince).toBeNull();
  expect(clock.pending).toBe(0);
});

test('F9: a deleted vault that answers unwraps as if it were down is asked for no wraps', async () => {
  const { calls, clock, meet, one, target } = rig();
  one.unwrap = outage;
  one.deleted = true;
  await meet(target('a'), 'wrapKey');
  await clock.advance(4000);
  expect(calls).toEqual(['unwrap a', 'unwrap a', 'unwrap a']);
});

test('F4, F2: a canary wrap that is denied is settled as any denied wrap, and closes the circuit', async () => {
  const { calls, changes, clock, meet, one, target } = rig();
  await meet(target('a'), 'wrapKey');
  await clock.advance(0);
  one.wrap = revoked;
  await clock.advance(60_000);
  expect(changes).toEqual(['open', 'closed']);
  expect(one.stored).toEqual(['denied a', 'refused a']);
  // Whether it is a latch an unwrap says that is sent after it.
  expect(calls.slice(2)).toEqual(['wrap a', 'unwrap a']);
});

test.each(['protector', 'additional'] as const)(
  'F7, F2: a vault that throttles is alive: the 429 to a canary wrap at a link that is %s slows its budget, and closes what wraps opened',
  async (role) => {
    const { changes, clock, meet, one, target } = rig();
    await meet(target('a', { role }), 'wrapKey');
    await clock.advance(0);
    one.wrap = one.unwrap = aFault({ class: 'throttled', status: 429 });
    await clock.advance(60_000);
    expect(changes).toEqual(['open', 'closed']);
    expect(one.stored).toEqual(['throttled kv-west']);
  },
);

test('F7, F2: a vault that was out for all, after it was for wraps, and only throttles now, is alive for both', async () => {
  const { calls, changes, circuits, clock, meet, one, target } = rig();
  await meet(target('a'), 'wrapKey');
  await clock.advance(0);
  one.unwrap = outage;
  await meet(target('a'), 'unwrapKey');
  await clock.advance(10_000);
  expect(circuits.state('kv-west', 'unwrapKey').state).toBe('open');
  one.wrap = one.unwrap = aFault({ class: 'throttled', status: 429 });
  await clock.advance(60_000);
  expect(changes).toEqual(['open', 'closed']);
  expect(calls.slice(-2)).toEqual(['unwrap a', 'wrap a']);
  expect(clock.pending).toBe(0);
});

test('F2: an unwrap that meets an outage while wraps are out has a canary unwrap sent, which opens the circuit for all', async () => {
  const { circuits, clock, meet, one, target } = rig();
  await meet(target('a'), 'wrapKey');
  await clock.advance(10_000);
  expect(circuits.state('kv-west', 'unwrapKey').state).toBe('closed');
  one.unwrap = outage;
  await meet(target('a'), 'unwrapKey');
  await clock.advance(2000);
  expect(circuits.state('kv-west', 'unwrapKey').state).toBe('open');
});

test('C2, F2: so does one that is refused since the key has expired', async () => {
  const { changes, clock, meet, one, target } = rig();
  await meet(target('a'), 'wrapKey');
  await clock.advance(0);
  one.wrap = { ...revoked, outsideValidity: true };
  await clock.advance(60_000);
  expect(changes).toEqual(['open', 'closed']);
  expect(one.stored).toEqual(['refused a']);
});

test('B4: a canary wrap for which there is no room is asked for again, and closes nothing meanwhile', async () => {
  const { changes, clock, meet, one, target } = rig();
  await meet(target('a'), 'wrapKey');
  await clock.advance(0);
  one.wrap = undefined;
  one.room = false;
  await clock.advance(20_000);
  expect(changes).toEqual(['open']);
  one.room = true;
  await clock.advance(2000);
  expect(changes).toEqual(['open', 'closed']);
});

test('F3: no canary is wrapped at the standby of a latched primary', async () => {
  const { calls, clock, known, outages, target } = rig();
  const primary = aLink({ keyId: keyId('kv-south', 'p'.repeat(32)), vault: 'kv-south' });
  const standby = target('s', { role: 'standby', standbyOf: primary.keyId });
  const met = Object.assign(standby, { registered: Object.assign(standby.registered, { links: [primary, standby.link] }) });
  await outages.met('kv-west', met, clock.now(), 'wrapKey');
  // The denial of the primary is stored while the canary unwrap is under way.
  known.set(primary.keyId, { latch: aLatch() });
  await clock.advance(20_000);
  expect(calls).toEqual(['unwrap s']);
  known.clear();
  await outages.met('kv-west', met, clock.now(), 'wrapKey');
  await clock.advance(0);
  expect(calls).toEqual(['unwrap s', 'unwrap s', 'wrap s']);
});

test.each<[string, Parameters<typeof aLink>[0], Partial<LinkAccess>]>([
  ['that no wraps go to', { role: 'additional' }, {}],
  ['whose wraps are refused anyway', {}, { refused: { wrapKey: { since: noon, finding: 'WrapDenied' } } }],
])('F2: a link %s is not asked for a wrap, where another can say whether the vault wraps', async (_what, link, access) => {
  const { calls, changes, clock, known, meet, outages, target } = rig();
  await meet(target('b'), 'wrapKey');
  const other = target('a', link);
  known.set(other.ref.keyId, access);
  outages.lookAgain('kv-west', other);
  await clock.advance(10_000);
  expect(calls).toEqual(['unwrap b', ...Array.from({ length: 6 }, () => 'wrap b')]);
  expect(changes).toEqual(['open']);
});

test('F2: the only link there is is asked, so that the circuit is not open for ever; where no wraps go to it, its refusal is no finding', async () => {
  const { changes, clock, meet, one, target } = rig();
  const former = target('a', { role: 'additional' });
  await meet(former, 'wrapKey');
  await clock.advance(0);
  one.wrap = revoked;
  await clock.advance(60_000);
  expect(changes).toEqual(['open', 'closed']);
  expect(one.stored).toEqual([]);
});

test('F2: however many links without wraps are looked at, one that wraps go to has a place', async () => {
  const { calls, clock, meet, outages, target } = rig();
  for (const letter of 'abcdefghijklmnopq') outages.lookAgain('kv-west', target(letter, { role: 'additional' }));
  await meet(target('z'), 'wrapKey');
  await clock.advance(60_000);
  expect(new Set(calls.filter((call) => call.startsWith('wrap')))).toEqual(new Set(['wrap z']));
});

test('F2: a key that fails wraps alone opens no circuit: another key of the vault is asked, and what it answers counts', async () => {
  const { badKeys, calls, changes, circuits, clock, linked, meet, one, target } = rig();
  one.wrap = undefined;
  const bad = target('a');
  badKeys.add(bad.link.keyId);
  linked.push(bad, target('b', { role: 'additional' }), target('c'));
  await meet(bad, 'wrapKey');
  await clock.advance(60_000);
  expect(calls).toEqual(['unwrap a', 'wrap c']);
  expect(changes).toEqual([]);
  expect(clock.pending).toBe(0);
  // If the other fails too, it is the vault.
  one.wrap = outage;
  await meet(bad, 'wrapKey');
  await clock.advance(0);
  expect(calls.slice(2)).toEqual(['unwrap a', 'wrap c']);
  expect(circuits.state('kv-west', 'wrapKey').state).toBe('open');
});

test('F2: standbys that are held back keep nobody else from probing the circuit', async () => {
  const { calls, circuits, clock, known, one, outages, target } = rig();
  one.unwrap = outage;
  for (const letter of 'abcdefghijklmnop') {
    const primary = aLink({ keyId: keyId('kv-south', letter.repeat(32)), vault: 'kv-south' });
    const standby = target(letter, { role: 'standby', standbyOf: primary.keyId });
    Object.assign(standby.registered, { links: [primary, standby.link] });
    await outages.met('kv-west', standby, clock.now(), 'unwrapKey');
    known.set(primary.keyId, { latch: aLatch() });
  }
  await clock.advance(60_000);
  one.unwrap = undefined;
  expect(circuits.state('kv-west').state).toBe('open');
  calls.length = 0;
  outages.lookAgain('kv-west', target('z'));
  await clock.advance(4000);
  expect(calls).toEqual(['unwrap z']);
  expect(circuits.state('kv-west').state).toBe('closed');
});

test('F2: where the link that met the outage is held back, another one of the vault probes the circuit', async () => {
  const { calls, changes, circuits, clock, known, linked, one, outages, target } = rig();
  one.unwrap = outage;
  const primary = aLink({ keyId: keyId('kv-south', 'p'.repeat(32)), vault: 'kv-south' });
  const standby = target('s', { role: 'standby', standbyOf: primary.keyId });
  Object.assign(standby.registered, { links: [primary, standby.link] });
  linked.push(standby, target('y'), target('z'));
  await outages.met('kv-west', standby, clock.now(), 'unwrapKey');
  known.set(primary.keyId, { latch: aLatch() });
  await clock.advance(4000);
  // In turn: one of them alone may fail.
  expect(calls.slice(1)).toEqual(['unwrap y', 'unwrap z']);
  one.unwrap = undefined;
  await clock.advance(2000);
  expect(circuits.state('kv-west').state).toBe('closed');
  expect(changes).toEqual(['open', 'closed']);
  expect(clock.pending).toBe(0);
});

test('F5: a probe goes by what a link is now: one that was replaced as protector is denied no wrap', async () => {
  const { clock, meet, one, target } = rig();
  const former = target('a');
  await meet(former, 'wrapKey');
  await clock.advance(0);
  Object.assign(former.registered, { links: [{ ...former.link, role: 'additional' }] });
  one.wrap = revoked;
  await clock.advance(10_000);
  expect(one.stored).toEqual([]);
});

test.each(['ambiguous', 'identityOutage'] as const)(
  'F2: an answer of class %s to a canary wrap says nothing: it is asked again',
  async (kind) => {
    const { calls, clock, meet, one, target } = rig();
    one.wrap = aFault({ class: kind, status: null });
    await meet(target('a'), 'wrapKey');
    await clock.advance(2000);
    expect(calls.filter((call) => call === 'wrap a')).toHaveLength(2);
    one.wrap = undefined;
    await clock.advance(2000);
    expect(clock.pending).toBe(0);
  },
);

test('F3: what a probe finds out again after an unwrap of traffic was answered begins the outage anew', async () => {
  const { clock, meet, one, outages, target } = rig();
  await meet(target('a'), 'wrapKey');
  await clock.advance(1000);
  outages.answered('kv-west', clock.now());
  expect(one.health.outageSince).toBeNull();
  await clock.advance(1000);
  expect(one.health.outageSince).toBe(clock.now());
});
