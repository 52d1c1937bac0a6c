import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { soundVault } from '../../src/domain/access.ts';
import type { VaultHealth } from '../../src/domain/access.ts';
import { millis } from '../../src/domain/time.ts';
import { mayFailOver } from '../../src/policy/gate.ts';
import { outageMet, vaultAnswered } from '../../src/policy/outage.ts';
import { anUntried, aPicture, aQuestion, at, gateRules, hour, minute, noon, second } from '../support/builders.ts';
import { aRef } from '../support/stored-values.ts';

function met(stored: VaultHealth, ms: number): VaultHealth {
  return outageMet(stored, at(ms), gateRules) ?? stored;
}

/** Answered at once. */
function answered(stored: VaultHealth, ms: number): VaultHealth {
  return vaultAnswered(stored, at(ms), at(ms), gateRules) ?? stored;
}

/** Down at noon for so long. */
function after(ms: number): VaultHealth {
  return answered(met(soundVault, 0), ms);
}

describe('F3: when an outage begins and ends', () => {
  test('it begins with the first outage, and later ones change nothing', () => {
    const down = met(soundVault, 0);
    expect(down).toEqual({ ...soundVault, outageSince: noon });
    expect(outageMet(down, at(hour), gateRules)).toBeNull();
  });

  test('a call that was sent before it began does not end it; one that was sent later does', () => {
    const down = met(soundVault, 0);
    expect(vaultAnswered(down, noon, at(second), gateRules)).toBeNull();
    expect(answered(down, 1).outageSince).toBeNull();
  });

  test('a vault without outage or failover is not written to', () => {
    expect(vaultAnswered(soundVault, noon, noon, gateRules)).toBeNull();
  });

  test('one that begins after some answers goes on: its beginning moves by as long as the vault answered, and two clocks may differ', () => {
    expect(met(after(20 * minute), 20 * minute + 5 * second).outageSince).toBe(at(7 * second));
    const again = met(answered(met(after(20 * minute), 21 * minute), 30 * minute), 32 * minute);
    expect(again).toMatchObject({ outageSince: at(3 * minute + 4 * second), lastOutage: { answeredMs: 3 * minute + 4 * second } });
  });

  test.each([
    [2 * second, 2 * second],
    [2 * second + 1, 4 * second + 1],
  ])(
    'an answer of %i ms counts for %i: a flicker for what it seems, any longer for as much more as two clocks may differ',
    (gap, counts) => {
      expect(met(after(hour), hour + gap).lastOutage?.answeredMs).toBe(counts);
    },
  );

  test('a call that was sent before it went on does not end it', () => {
    const again = met(after(20 * minute), 20 * minute + 5 * second);
    expect(vaultAnswered(again, at(20 * minute + 5 * second), at(21 * minute), gateRules)).toBeNull();
    const ended = answered(again, 20 * minute + 6 * second);
    expect(ended).toEqual({
      ...soundVault,
      lastOutage: { since: at(7 * second), endedAt: at(20 * minute + 6 * second), answeredMs: 7 * second },
    });
  });

  test('it never begins later than it was met', () => {
    expect(met(after(second), 5 * second).outageSince).toBe(at(5 * second));
  });

  test.each([
    [15 * minute - 2 * second, at(15 * minute)],
    [15 * minute - 2 * second + 1, at(hour + 15 * minute - 2 * second + 1)],
  ])('where the vault has answered for %i ms it began at %i', (gap, began) => {
    const again = met(after(hour), hour + gap);
    expect(again.outageSince).toBe(began);
  });

  test('the times in which it answered add up', () => {
    let health = after(hour);
    for (let i = 1; i <= 2; i += 1) health = answered(met(health, i * hour + 5 * minute), (i + 1) * hour);
    expect(health.lastOutage).toMatchObject({ since: at(10 * minute + 4 * second), answeredMs: 10 * minute + 4 * second });
    // 15 min and some seconds in all: from here on the new beginning counts.
    health = met(health, 3 * hour + 5 * minute);
    expect(health).toEqual({ ...soundVault, outageSince: at(3 * hour + 5 * minute) });
  });

  test.each<[string, VaultHealth]>([
    ['began', { ...soundVault, outageSince: at(hour), lastOutage: { since: noon, endedAt: noon, answeredMs: millis(0) } }],
    ['ended', { ...soundVault, lastOutage: { since: at(-hour), endedAt: at(hour), answeredMs: millis(0) } }],
  ])('nothing goes on from an outage that %s in the future', (_what, stored) => {
    expect(met(stored, 0)).toEqual({ ...soundVault, outageSince: noon });
  });

  test.each<[string, VaultHealth]>([
    ['began', { ...soundVault, outageSince: at(hour), failoverSince: at(hour) }],
    ['went on', { ...met(after(20 * minute), 30 * minute), failoverSince: noon }],
  ])('one that %s in the future is ended by any answer, and its failover with it', (_what, wrong) => {
    expect(vaultAnswered(wrong, at(20 * minute + second), at(20 * minute + second), gateRules)).toEqual(soundVault);
  });
});

describe('F8: when a failover has ended', () => {
  const failedOver = answered({ ...met(soundVault, 0), failoverSince: at(second) }, minute);

  test.each([
    [10 * second - 1, at(second)],
    [10 * second, null],
  ])('an answer %i ms after the outage: failover since %s', (ms, since) => {
    expect(failedOver).toMatchObject({ outageSince: null, failoverSince: at(second) });
    expect(answered(failedOver, minute + ms).failoverSince).toBe(since);
  });

  test('not while outages come in between', () => {
    let health = failedOver;
    for (let s = 5; s < 60; s += 5) health = answered(met(health, minute + s * second), minute + s * second + 1);
    expect(health.failoverSince).toBe(at(second));
  });

  test('where an end was stamped by a clock that has been set back since, at once', () => {
    const wrong = { ...soundVault, failoverSince: noon, lastOutage: { since: noon, endedAt: at(hour), answeredMs: millis(0) } };
    expect(answered(wrong, minute).failoverSince).toBeNull();
  });
});

test('F3: 20 min of outage, then a vault that answers now and then: what was proven before counts until it has answered for 15 min', () => {
  const opens = (health: VaultHealth, now: number): boolean => {
    const primaryPicture = aPicture([anUntried(aRef(), { provenAt: at(-5 * minute) })], health);
    return mayFailOver(aQuestion({ now: at(now), primaryPicture }), gateRules).open;
  };
  let [health, now] = [after(20 * minute), 20 * minute];
  const opened: boolean[] = [];
  for (let i = 0; i < 101; i += 1) {
    // It answers for 4 s, which count as 6, since clocks differ; then it is down for a minute.
    now += 4 * second;
    // Another call may just have been answered when the gate is asked.
    opened.push(opens(health, now));
    health = met(health, now);
    expect(opens(health, now)).toBe(opened.at(-1));
    health = answered(health, (now += minute));
  }
  // 5 min old when the outage began: 10 min of answers are left.
  expect(opened).toEqual([...Array.from({ length: 100 }, () => true), false]);
});

describe('F3: a proof ages by the time in which its vault answered', () => {
  interface Phase {
    readonly upMs: number;
    /** Longer than two clocks differ: else the first answer may seem to have been sent before, and ends nothing. */
    readonly downMs: number;
    /** A proof is sent so long after the vault is up again. */
    readonly provenMs: number;
    /** How far the clocks are off of who meets the outage, who meets the answer, and who sends the proof. */
    readonly skews: readonly [number, number, number];
  }
  const lasts = (min: number, max: number) => fc.oneof(fc.integer({ min, max: 10 * second }), fc.integer({ min, max }));
  const skew = fc.integer({ min: -second, max: second });
  const phases = (upMs: fc.Arbitrary<number>, off: fc.Arbitrary<number>) =>
    fc.array(fc.record({ upMs, downMs: lasts(3 * second, hour), provenMs: fc.nat(minute), skews: fc.tuple(off, off, off) }), {
      minLength: 1,
      maxLength: 30,
    });

  interface Seen {
    /** How old the gate takes the proof to be. */
    readonly taken: number;
    /** For how long the vault has truly answered since the proof was sent. */
    readonly answered: number;
    /** So many outages, this one among them, have begun since. */
    readonly outages: number;
  }

  /** Plays the phases, from a vault that is up. @returns at the beginning of each outage each proof that was sent before. */
  function play(all: readonly Phase[]): readonly Seen[] {
    const seen: Seen[] = [];
    const proofs: { readonly stamp: number; readonly up: number; readonly outage: number }[] = [];
    let [health, now, up] = [soundVault, 0, 0];
    for (const [outage, { upMs, downMs, provenMs, skews }] of all.entries()) {
      if (provenMs < upMs) proofs.push({ stamp: now + provenMs + skews[2], up: up + provenMs, outage });
      now += upMs;
      up += upMs;
      health = met(health, now + skews[0]);
      const began = (health.outageSince ?? noon) - noon;
      for (const proof of proofs) seen.push({ taken: began - proof.stamp, answered: up - proof.up, outages: outage - proof.outage + 1 });
      now += downMs;
      health = answered(health, now + skews[1]);
    }
    return seen;
  }

  test.each([
    ['by clocks 2 s apart', phases(lasts(4 * second, 10 * minute), skew)],
    ['by one clock, with flickers too', phases(lasts(1, 10 * minute), fc.constant(0))],
  ])('however outages and answers follow, none counts that is older than it may be: %s', (_clocks, any) => {
    const old = (one: Seen): boolean => one.answered > gateRules.proofMaxAgeMs + 4 * second;
    const accepted = ({ taken }: Seen): boolean => taken <= gateRules.proofMaxAgeMs;
    let tried = 0;
    fc.assert(
      fc.property(any, (all) => {
        const seen = play(all).filter(old);
        tried += seen.length;
        expect(seen.filter(accepted)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
    expect(tried).toBeGreaterThan(1000);
  });

  test('none is taken to be older than it is, but for what clocks differ each time, while the vault has answered for less than 15 min', () => {
    let tried = 0;
    fc.assert(
      fc.property(phases(lasts(1, 10 * minute), skew), (all) => {
        const up = all.reduce((sum, { upMs }) => sum + upMs + 4 * second, 0);
        if (up > gateRules.proofMaxAgeMs) return;
        for (const { taken, answered: age, outages } of play(all)) {
          tried += 1;
          expect(taken).toBeLessThanOrEqual(age + outages * 4 * second);
        }
      }),
      { numRuns: 2000 },
    );
    expect(tried).toBeGreaterThan(1000);
  });
});
