import { describe, expect, test } from 'vitest';
import { createAccess } from '../../src/broker/access.ts';
import { createLinkCalls } from '../../src/broker/link-calls.ts';
import type { Outages } from '../../src/broker/outages.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { createWitness, refOf } from '../../src/broker/witness.ts';
import type { WitnessTarget } from '../../src/broker/witness.ts';
import type { LinkAccess } from '../../src/domain/access.ts';
import { millis } from '../../src/domain/time.ts';
import type { Link, RegisteredServer } from '../../src/domain/server.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aLatch, anUntried, aRegisteredWith, denialRules, gateRules } from '../support/builders.ts';
import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { aLink, aVault, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const primary = aLink();
const standby = aLink({ keyId: keyId('kv-north'), vault: 'kv-north', role: 'standby', standbyOf: primary.keyId });
const ofPrimary = { ...aRegisteredWith(), links: [primary, standby] };
/** Another server that uses the standby's key as its primary. */
const ofStandby = { ...aRegisteredWith({ name: 'sql-other' }), links: [aLink({ keyId: standby.keyId, vault: 'kv-north' })] };

function targetOf(registered: RegisteredServer, keyName: Link['keyId']): WitnessTarget {
  const link = registered.links.find((one) => one.keyId === keyName) ?? primary;
  return { registered, link, ref: refOf(registered, link) };
}

/** An instance that has read nothing yet; `asked` names the vaults that it called. */
function rig(admitted: () => Promise<void> | undefined = () => undefined) {
  const clock = virtualClock();
  const store = createMemoryStore();
  const accessLog = createMemoryAccessLog(store, clock);
  const asked: string[] = [];
  const ended: string[] = [];
  const vault = aVault('kv-north');
  const answer = () => {
    asked.push('kv-north');
    return Promise.resolve({ ok: false, fault: { class: 'ambiguous' }, sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1) });
  };
  const through = (_vault: string, _key: string, call: () => unknown) => call();
  const parts = {
    accessLog,
    clock,
    registry: { peekVault: () => vault },
    admission: { admit: () => admitted(), ended: ({ vault }: { vault: string }) => void ended.push(vault), throttled: () => millis(1000) },
    circuits: { state: () => ({ state: 'closed', since: null }), through, canary: through },
    vaults: { get: answer, wrap: answer, unwrap: answer },
    rules: {
      attemptMs: millis(2000),
      probeMs: millis(2000),
      pictureMaxAgeMs: millis(1000),
      association: { points: { GeneralPurpose: 2 } },
      denial: denialRules,
      gate: gateRules,
    },
    log: () => undefined,
  } as unknown as Parts;
  const access = createAccess(parts);
  return {
    clock,
    store,
    asked,
    ended,
    witness: createWitness(parts, access),
    calls: createLinkCalls({ parts, access, outages: { met: () => Promise.resolve() } as unknown as Outages }),
    /** Another instance stores that access to the primary was denied. */
    async latchPrimary() {
      const ref = refOf(ofPrimary, primary);
      const row: LinkAccess = { ...anUntried(ref), latch: aLatch() };
      await accessLog.changeLink(ref, () => ({ next: row, events: [] }));
    },
  };
}

describe('F3: where the primary is latched nothing goes to its standbys, not even to look', () => {
  test('no canary of the watch or of a probe, though this instance has not heard of the latch', async () => {
    const { asked, latchPrimary, witness } = rig();
    await latchPrimary();
    expect(await witness.look(targetOf(ofPrimary, standby.keyId), 'probe')).toBe('unasked');
    expect(asked).toEqual([]);
  });

  test('no canary that waited for room while access was taken away', async () => {
    const { asked, clock, latchPrimary, witness } = rig(() =>
      latchPrimary()
        .then(() => clock.advance(1001))
        .then(() => undefined),
    );
    expect(await witness.look(targetOf(ofPrimary, standby.keyId), 'probe')).toBe('unasked');
    expect(asked).toEqual([]);
  });

  test('where the same key is the primary of another server, that one is asked for both', async () => {
    const { asked, latchPrimary, witness } = rig();
    await latchPrimary();
    await witness.look(targetOf(ofPrimary, standby.keyId), 'probe', [targetOf(ofStandby, standby.keyId)]);
    expect(asked).toEqual(['kv-north']);
  });

  test.each(['get', 'wrap', 'unwrap'] as const)('no %s of an audit or a drill that waited while access was taken away', async (step) => {
    const { asked, calls, latchPrimary } = rig();
    const target = targetOf(ofPrimary, standby.keyId);
    const letGo = () => latchPrimary().then(() => true);
    const looked = step === 'unwrap' ? calls.unwrap(target, standby.canary, letGo) : calls[step](target, letGo);
    expect(await looked).toEqual({ kind: 'heldBack' });
    expect(asked).toEqual([]);
  });

  test('with the store away nobody can tell: no call', async () => {
    const { asked, store, witness } = rig();
    store.away = true;
    await expect(witness.look(targetOf(ofPrimary, standby.keyId), 'probe')).rejects.toBeInstanceOf(StoreAway);
    expect(asked).toEqual([]);
  });

  test('a primary that grants access holds nothing back', async () => {
    const { asked, calls, ended, witness } = rig();
    const target = targetOf(ofPrimary, standby.keyId);
    await witness.look(target, 'probe');
    // B2: the budget is told of the end of each call, whatever it came to.
    expect(ended).toEqual(['kv-north']);
    await calls.unwrap(target, standby.canary, () => Promise.resolve(true));
    expect(asked).toEqual(['kv-north', 'kv-north']);
    expect(ended).toEqual(asked);
  });
});
