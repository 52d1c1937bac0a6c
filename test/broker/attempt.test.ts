import { expect, describe, test } from 'vitest';
import { createAttempts, type Guard } from '../../src/broker/attempt.ts';
import { createCoalesce } from '../../src/broker/coalesce.ts';
import { createAtGroup } from '../../src/broker/failover.ts';
import type { AttemptParts, KeyCall } from '../../src/broker/key-call.ts';
import { soundVault } from '../../src/domain/access.ts';
import { Dek } from '../../src/domain/dek.ts';
import { refuse } from '../../src/domain/refusal.ts';
import { millis, type Millis } from '../../src/domain/time.ts';
import type { AdmissionRequest } from '../../src/ports/admission.ts';
import type { CircuitState } from '../../src/ports/circuits.ts';
import { aPicture, aRegisteredWith } from '../support/builders.ts';
import { aLink, aVault } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const link = aLink();
const wrappedDek = Uint8Array.of(1, 2, 3);
const registered = { ...aRegisteredWith(), links: [link] };

/** Tries at a link whose vault grants everything, 2 s an attempt. */
function rig() {
  const clock = virtualClock();
  const seen = {
    admitted: [] as AdmissionRequest[],
    /** The time that each call of the vault was given. */
    sent: [] as Millis[],
    lookedAgain: [] as string[],
    circuit: 'closed' as CircuitState,
    admit: (_request: AdmissionRequest): undefined | Promise<undefined | Millis> => undefined,
  };
  const all = {
    parts: {
      controlPlane: { vaultStatus: () => Promise.resolve('unknown') },
      clock,
      registry: { peekVault: () => aVault() },
      circuits: {
        state: () => ({ state: seen.circuit, since: null }),
        through: (_vault: string, _key: string, call: () => unknown) => call(),
      },
      admission: {
        admit(request: AdmissionRequest) {
          seen.admitted.push(request);
          return seen.admit(request);
        },
        ended: () => undefined,
      },
      rules: {
        attemptMs: millis(2000),
        probeMs: millis(2000),
        association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 },
      },
    },
    access: {
      known: () => undefined,
      proven: () => Promise.resolve(),
      health: () => soundVault,
      picture: () => Promise.resolve(aPicture([])),
    },
    outages: { answered: () => undefined, lookAgain: (vault: string) => void seen.lookedAgain.push(vault) },
    witness: {},
  } as unknown as AttemptParts;
  const callWith = (deadline: number): KeyCall<Dek> => ({
    registered,
    operation: 'unwrapKey',
    tier: 'GeneralPurpose',
    deadline,
    send: (_target, within) => {
      seen.sent.push(within);
      return Promise.resolve({ ok: true, value: new Dek(new Uint8Array(16)), sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1) });
    },
  });
  return { clock, seen, all, attempts: createAttempts(all), callWith };
}

describe('C5: time for the call itself', () => {
  test.each([
    [10_000, 9000],
    [2000, 1000],
    [1000, 500],
  ])('with %i ms left a call may wait %i ms for its turn: half an attempt is kept for the call', async (left, within) => {
    const { seen, attempts, callWith } = rig();
    expect((await attempts.at(link, callWith(left))).kind).toBe('served');
    expect(seen.admitted).toMatchObject([{ within }]);
  });

  test.each([
    [501, 'served', [501]],
    [500, 'served', [500]],
    [499, 'refused', []],
  ])('with %i ms left after its turn came: %s', async (left, kind, sent) => {
    const { clock, seen, attempts, callWith } = rig();
    seen.admit = () => clock.pause(millis(3000)).then(() => undefined);
    const tried = attempts.at(link, callWith(3000 + left));
    await clock.advance(3000);
    expect(await tried).toMatchObject(
      kind === 'served' ? { kind } : { kind, refusal: { code: 'DeadlineExceeded', retryable: true }, attempt: null },
    );
    expect(seen.sent).toEqual(sent);
  });
});

describe('C4, F3: one who starts after another was refused', () => {
  test('asks for his turn with the time that he has left by then, and the gate once more', async () => {
    const { clock, seen, attempts, callWith } = rig();
    const coalesce = createCoalesce(clock);
    const gated: number[] = [];
    const guard: Guard = () => Promise.resolve(void gated.push(clock.elapsed()));
    const ask = (deadline: number) =>
      attempts.at(
        link,
        {
          ...callWith(deadline),
          share: (target, start) => coalesce.share({ target, algorithm: 'RSA-OAEP-256', wrappedDek }, deadline, start),
        },
        guard,
      );
    seen.admit = () => clock.pause(millis(3000)).then(() => millis(700));
    const first = ask(4000);
    const second = ask(10_000);
    await clock.advance(2999);
    seen.admit = () => undefined;
    await clock.advance(1);
    expect(await first).toMatchObject({ kind: 'refused', refusal: { code: 'Throttled' } });
    expect((await second).kind).toBe('served');
    expect(seen.admitted.map(({ within }) => within)).toEqual([3000, 6000]);
    expect(gated).toEqual([0, 0, 3000]);
  });

  test('F3: is refused where the gate has closed meanwhile', async () => {
    const { clock, seen, attempts, callWith } = rig();
    const coalesce = createCoalesce(clock);
    let closed = false;
    const guard: Guard = () => Promise.resolve(closed ? refuse('VaultUnavailable', 'F3: denied meanwhile').refusal : undefined);
    const ask = (deadline: number) =>
      attempts.at(
        link,
        {
          ...callWith(deadline),
          share: (target, start) => coalesce.share({ target, algorithm: 'RSA-OAEP-256', wrappedDek }, deadline, start),
        },
        guard,
      );
    seen.admit = () => clock.pause(millis(3000)).then(() => millis(700));
    const asked = [ask(4000), ask(10_000)];
    await clock.advance(2999);
    closed = true;
    seen.admit = () => undefined;
    await clock.advance(1);
    expect((await Promise.all(asked)).map((tried) => (tried.kind === 'refused' ? tried.refusal.code : tried.kind))).toEqual([
      'Throttled',
      'VaultUnavailable',
    ]);
    expect(seen.sent).toEqual([]);
  });
});

describe('B2, C4: a rewrap that joined an unwrap which then found no room', () => {
  test.each([
    ['starts with room that it asks for then', undefined, 'served', 1],
    ['is refused where there is none by then', millis(900), 'Throttled', 0],
  ])('%s, not with the room of 3 s ago', async (_what, roomLater, heard, sent) => {
    const { clock, seen, attempts, callWith } = rig();
    const coalesce = createCoalesce(clock);
    const asked: [number, number][] = [];
    seen.admit = ({ points, also }) => {
      asked.push([clock.elapsed(), points]);
      if (also !== undefined) return undefined;
      return clock.elapsed() === 0 ? clock.pause(millis(3000)).then(() => millis(700)) : Promise.resolve(roomLater);
    };
    const ask = (deadline: number, more: Partial<KeyCall<Dek>>) =>
      attempts.at(link, {
        ...callWith(deadline),
        share: (target, start) => coalesce.share({ target, algorithm: 'RSA-OAEP-256', wrappedDek }, deadline, start),
        ...more,
      });
    const unwrap = ask(4000, {});
    const rewrap = ask(10_000, { rewrap: { to: { primary: link, standbys: [] }, room: null } });
    await clock.advance(3000);
    expect(await unwrap).toMatchObject({ kind: 'refused', refusal: { code: 'Throttled' } });
    const tried = await rewrap;
    expect(tried.kind === 'refused' ? tried.refusal.code : tried.kind).toBe(heard);
    expect(asked).toEqual([
      [0, 2],
      [0, 4],
      [3000, 2],
    ]);
    expect(seen.sent).toHaveLength(sent);
  });
});

describe('F3: the last word before the request leaves', () => {
  /** A standby that is met for the first time: its challenge takes 1.7 s before the request can leave. */
  function metFirst({ clock, callWith }: ReturnType<typeof rig>): KeyCall<Dek> {
    const { send, ...call } = callWith(10_000);
    return {
      ...call,
      async send(target, within) {
        await clock.pause(millis(1700));
        if ((await target.mayLeave?.()) !== false) return send(target, within);
        const fault = { class: 'ambiguous', status: null, code: 'HELD_BACK', detail: '', reach: null } as const;
        const unsent = { ...fault, mayHideDenial: false, outsideValidity: false };
        return { ok: false, fault: unsent, sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1700) };
      },
    };
  }

  test.each([
    ['open', undefined, ['served'], 1],
    ['closed meanwhile', refuse('VaultUnavailable', 'F4: denied meanwhile').refusal, ['refused', 'F4: denied meanwhile'], 0],
  ])('is the gate’s as it is by then: %s', async (_what, last, heard, sent) => {
    const one = rig();
    const asked: number[] = [];
    const guard: Guard = () => {
      asked.push(one.clock.elapsed());
      return Promise.resolve(asked.length > 1 ? last : undefined);
    };
    const tried = one.attempts.at(link, metFirst(one), guard);
    await one.clock.advance(1700);
    const answer = await tried;
    expect(answer.kind === 'refused' ? [answer.kind, answer.refusal.detail] : [answer.kind]).toEqual(heard);
    expect(asked).toEqual([0, 1700]);
    expect(one.seen.sent).toHaveLength(sent);
  });

  test('a primary is asked nothing', async () => {
    const one = rig();
    let held: unknown = 'none';
    const { send, ...call } = one.callWith(10_000);
    await one.attempts.at(link, { ...call, send: (target, within) => ((held = target.mayLeave), send(target, within)) });
    expect(held).toBeUndefined();
  });

  test('a question that fails is no answer: the failure comes to light', async () => {
    const one = rig();
    let asked = 0;
    const guard: Guard = () => ((asked += 1) > 1 ? Promise.reject(new Error('a defect')) : Promise.resolve(undefined));
    const { send, ...call } = one.callWith(10_000);
    const tried = one.attempts.at(
      link,
      { ...call, send: async (target, within) => (await target.mayLeave?.().catch(() => false), send(target, within)) },
      guard,
    );
    await expect(tried).rejects.toThrow('a defect');
  });
});

describe('F2: a circuit found open', () => {
  test('makes no call, and sees to it that it is probed', async () => {
    const { seen, attempts, callWith } = rig();
    seen.circuit = 'open';
    expect(await attempts.at(link, callWith(10_000))).toMatchObject({ kind: 'outage', attempt: { class: 'circuitOpen' } });
    expect(seen.lookedAgain).toEqual([link.vault]);
    expect(seen.sent).toEqual([]);
  });

  test('without a standby the caller hears when to come back: after the next probe', async () => {
    const { seen, all, attempts, callWith } = rig();
    seen.circuit = 'open';
    const operated = await createAtGroup(all, attempts)({ primary: link, standbys: [] }, callWith(10_000));
    expect(operated).toMatchObject({ ok: false, refusal: { code: 'VaultUnavailable', retryable: true, retryAfterMs: 2000 } });
  });
});
