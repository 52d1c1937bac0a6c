import { describe, expect, test } from 'vitest';
import { createCallRoom } from '../../src/broker/call-room.ts';
import type { KeyCall, Rewrap } from '../../src/broker/key-call.ts';
import { groupOf } from '../../src/domain/server.ts';
import type { Link } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import type { Millis } from '../../src/domain/time.ts';
import type { Admission, AdmissionRequest, ToldByAnother } from '../../src/ports/admission.ts';
import type { CircuitState } from '../../src/ports/circuits.ts';
import { fleet, usageOf } from '../support/admission-fleet.ts';
import { aRegisteredWith } from '../support/builders.ts';
import { rewrapFleet } from '../support/rewrap-fleet.ts';
import { aLink, aVault, keyId, thumbprint } from '../support/stored-values.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';

const hsm = { keyType: 'RSA-HSM', keySize: 3072 };
const old = aLink({ role: 'additional' });
const here = aLink({ ...hsm, keyId: keyId('kv-west', 'b'.repeat(32)), thumbprint: thumbprint('B') });
const there = aLink({ ...hsm, keyId: keyId('kv-north', 'b'.repeat(32)), vault: 'kv-north', thumbprint: thumbprint('B') });
const standby: Link = { ...there, role: 'standby', standbyOf: here.keyId };

/** Rooms of vaults that have some for all, but for what `answers` says of a vault. */
function rig(protector: Link, standbys: readonly Link[] = []) {
  const clock = virtualClock();
  const asked: AdmissionRequest[] = [];
  const told: string[] = [];
  const answers = new Map<string, Millis | Promise<undefined | Millis>>();
  /** When there is room at a vault that keeps a place. */
  const keeps = new Map<string, Millis>();
  const kept: string[] = [];
  const circuits = new Map<string, CircuitState>();
  const room = createCallRoom({
    clock,
    admission: {
      admit: (request: AdmissionRequest) => (asked.push(request), answers.get(request.vault)),
      ended: ({ vault }: AdmissionRequest) => told.push(vault),
      keep({ vault, class: of }: AdmissionRequest, { comeBack }: ToldByAnother) {
        kept.push(`${of} at ${vault} in ${comeBack}`);
        return Promise.resolve(keeps.get(vault) ?? comeBack);
      },
    },
    circuits: { state: (vault: string) => ({ state: circuits.get(vault) ?? 'closed', since: null }) },
    registry: { peekVault: (name: string) => aVault(name) },
    rules: { attemptMs: millis(2000), association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 } },
  } as never);
  const registered = { ...aRegisteredWith(), links: [protector, ...standbys, old] };
  const begin = (): Rewrap => ({ to: groupOf(registered, protector), room: null });
  const half = (operation: KeyCall<never>['operation'], rewrap?: Rewrap): KeyCall<never> => ({
    registered,
    operation,
    tier: 'GeneralPurpose',
    deadline: clock.elapsed() + 10_000,
    send: () => Promise.reject(new Error('nothing is sent')),
    ...(rewrap && { rewrap }),
  });
  return { room, asked, told, answers, keeps, kept, circuits, begin, half };
}

describe('B2: room for a rewrap in one vault', () => {
  test('is asked for once, for both keys and by the points of both, among the unwraps', () => {
    const { room, asked, begin, half } = rig(here);
    const rewrap = begin();
    expect(room(old, half('unwrapKey', rewrap))).toBeUndefined();
    expect(room(here, half('wrapKey', rewrap))).toBeUndefined();
    const key = { keyType: 'RSA', keySize: 2048 };
    expect(asked).toMatchObject([{ vault: 'kv-west', class: 'unwrap', points: 4, key, also: hsm, within: 9000 }]);
  });

  test('refused, it is so for both: nothing was sent in vain', () => {
    const { room, answers, begin, half } = rig(here);
    answers.set('kv-west', millis(700));
    const rewrap = begin();
    expect(room(old, half('unwrapKey', rewrap))).toMatchObject({ code: 'Throttled', retryAfterMs: 700 });
    expect(rewrap.room).toBeNull();
  });

  test('serves one wrap', () => {
    const { room, asked, begin, half } = rig(here);
    const rewrap = begin();
    void room(old, half('unwrapKey', rewrap));
    void room(here, half('wrapKey', rewrap));
    void room(here, half('wrapKey', rewrap));
    expect(asked.map(({ class: of, points }) => [of, points])).toEqual([
      ['unwrap', 4],
      ['wrap', 2],
    ]);
  });

  test('is no use to a wrap that goes to another vault: that is admitted there', () => {
    const { room, asked, begin, half } = rig(here, [standby]);
    const rewrap = begin();
    void room(old, half('unwrapKey', rewrap));
    void room(standby, half('wrapKey', rewrap));
    expect(asked.map(({ vault, class: of, points }) => [vault, of, points])).toEqual([
      ['kv-west', 'unwrap', 4],
      ['kv-north', 'wrap', 2],
    ]);
  });

  test('two operations by key shape, at twice the points', async () => {
    const subject = fleet([0]);
    void subject.ask(0, { key: { keyType: 'RSA', keySize: 2048 }, also: hsm, points: 4 });
    await subject.clock.advance(100);
    expect(await usageOf(subject, 0)).toMatchObject({ used: 4, byKeyType: { 'RSA/2048': 1, 'RSA-HSM/3072': 1 } });
  });
});

describe('B2: room for a rewrap from one vault to another', () => {
  const vaultsOf = (asked: readonly AdmissionRequest[]) => asked.map(({ vault, points }) => `${vault} ${points}`);

  test('is there at both before the unwrap is let through', async () => {
    const { room, asked, begin, half } = rig(there);
    const rewrap = begin();
    expect(await room(old, half('unwrapKey', rewrap))).toBeUndefined();
    expect(vaultsOf(asked)).toEqual(['kv-north 2', 'kv-west 2']);
    expect(room(there, half('wrapKey', rewrap))).toBeUndefined();
    expect(asked).toHaveLength(2);
  });

  test('what was got first is held for half an attempt at most while the other is waited for', async () => {
    const { room, asked, begin, half } = rig(there);
    await room(old, half('unwrapKey', begin()));
    expect(asked.map(({ within }) => within)).toEqual([9000, 1000]);
  });

  test('where the second has none, the first is given up as over, and the next asks there first', async () => {
    const { room, asked, told, answers, begin, half } = rig(there);
    answers.set('kv-west', millis(700));
    const refused = await room(old, half('unwrapKey', begin()));
    expect(refused).toMatchObject({ code: 'Throttled', retryAfterMs: 700, detail: expect.stringContaining('kv-west') as unknown });
    expect(told).toEqual(['kv-north']);
    await room(old, half('unwrapKey', begin()));
    expect(vaultsOf(asked)).toEqual(['kv-north 2', 'kv-west 2', 'kv-west 2']);
  });

  test.each([
    ['the first', 'kv-north', 'unwrap at kv-west in 700', 'kv-west'],
    ['the second', 'kv-west', 'unwrap at kv-north in 700', 'kv-north'],
  ])(
    'B4: where %s has none, the other keeps a place too: the caller comes back when there is room at both',
    async (_, scarce, place, other) => {
      const { room, answers, keeps, kept, begin, half } = rig(there);
      answers.set(scarce, millis(700));
      expect(await room(old, half('unwrapKey', begin()))).toMatchObject({ code: 'Throttled', retryAfterMs: 700 });
      keeps.set(other, millis(1900));
      expect(await room(old, half('unwrapKey', begin()))).toMatchObject({ code: 'Throttled', retryAfterMs: 1900 });
      expect(kept).toEqual([place, place]);
    },
  );

  test('an open circuit leads to the standby: there is where the wrap will go', () => {
    const { room, asked, circuits, begin, half } = rig(here, [standby]);
    circuits.set('kv-west', 'open');
    const unwrapAtStandby = { ...standby, thumbprint: old.thumbprint, standbyOf: old.keyId };
    expect(room(unwrapAtStandby, half('unwrapKey', begin()))).toBeUndefined();
    expect(vaultsOf(asked)).toEqual(['kv-north 4']);
  });

  test('got once, it lasts for the next try of the unwrap', async () => {
    const { room, asked, begin, half } = rig(there);
    const rewrap = begin();
    await room(old, half('unwrapKey', rewrap));
    void room({ ...standby, standbyOf: old.keyId }, half('unwrapKey', rewrap));
    expect(vaultsOf(asked)).toEqual(['kv-north 2', 'kv-west 2', 'kv-north 2']);
  });
});

describe('C4: the road of a rewrap', () => {
  test('the plaintext waits for nothing between the halves, however long the whole waited', async () => {
    const admit = (request: AdmissionRequest) =>
      request.class === 'wrap' ? Promise.resolve(millis(9999)) : subject.clock.pause(millis(3000)).then(() => undefined);
    const subject = rewrapFleet([0], [here, old], { script: { admit } });
    const asked = subject.ask('rewrap', 0, 1);
    await subject.clock.advance(3100);
    expect((await asked).ok).toBe(true);
    expect(subject.calls.map(({ operation, at }) => [operation, at])).toEqual([
      ['unwrap', 3000],
      ['wrap', 3050],
    ]);
  });

  test('one that joins an unwrap under way shares its call, and needs room for its wrap all the same', async () => {
    const admit: Admission['admit'] = ({ also }) => (also === undefined || subject.clock.elapsed() < 1000 ? undefined : millis(700));
    const subject = rewrapFleet([0], [here, old], { script: { admit } });
    for (const wrapped of [true, false]) {
      const asked = Promise.all([subject.ask('unwrap', 0, 1), subject.ask('rewrap', 0, 1)]);
      await subject.clock.advance(1000);
      expect((await asked).map(({ ok }) => ok)).toEqual([true, wrapped]);
    }
    await settled();
    expect(subject.calls.map(({ operation }) => operation)).toEqual(['unwrap', 'wrap', 'unwrap']);
  });
});
