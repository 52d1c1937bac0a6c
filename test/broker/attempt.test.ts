import { expect, describe, test } from 'vitest';
import { createAttempts, type Guard } from '../../src/broker/attempt.ts';
import { createCoalesce } from '../../src/broker/coalesce.ts';
import { createAtGroup } from '../../src/broker/failover.ts';
import type { AttemptParts, KeyCall } from '../../src/broker/key-call.ts';
import { Dek } from '../../src/domain/dek.ts';
import { refuse } from '../../src/domain/refusal.ts';
import { millis, type Millis } from '../../src/domain/time.ts';
import type { AdmissionRequest } from '../../src/ports/admission.ts';
import type { CircuitState } from '../../src/ports/circuits.ts';
import { aRegisteredWith } from '../support/builders.ts';
import { aLink, aVault } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const link = aLink();
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
      },
      rules: {
        attemptMs: millis(2000),
        probeMs: millis(2000),
        association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 },
      },
    },
    access: { known: () => undefined, proven: () => Promise.resolve() },
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
      attempts.at(link, { ...callWith(deadline), share: (_target, start) => coalesce.share('one', deadline, start) }, guard);
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
      attempts.at(link, { ...callWith(deadline), share: (_target, start) => coalesce.share('one', deadline, start) }, guard);
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
