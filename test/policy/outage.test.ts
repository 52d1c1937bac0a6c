import { describe, expect, test } from 'vitest';
import { soundVault } from '../../src/domain/access.ts';
import type { VaultHealth } from '../../src/domain/access.ts';
import { mayFailOver } from '../../src/policy/gate.ts';
import { outageMet, vaultAnswered, vaultDenied } from '../../src/policy/outage.ts';
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

  test('after a success the next one has a beginning of its own', () => {
    expect(met(after(20 * minute), 21 * minute)).toEqual({ ...soundVault, outageSince: at(21 * minute) });
  });

  test('one that began in the future was stamped by a clock that has been set back since: it begins now', () => {
    expect(met({ ...soundVault, outageSince: at(hour) }, 0)).toEqual({ ...soundVault, outageSince: noon });
    expect(outageMet({ ...soundVault, outageSince: at(second) }, noon, gateRules)).toBeNull();
  });

  test('such a one is ended by any answer, and its failover with it', () => {
    const wrong = { ...soundVault, outageSince: at(hour), failoverSince: at(hour) };
    expect(vaultAnswered(wrong, at(minute), at(minute), gateRules)).toEqual(soundVault);
  });
});

describe('F8: when a failover has ended', () => {
  const failedOver = answered({ ...met(soundVault, 0), failoverSince: at(second) }, minute);

  test('not while an instance has its circuit open, though unwraps are answered: wraps go to the standby still', () => {
    const open = { ...failedOver, openAt: { 'instance-1': at(second) } };
    expect(vaultAnswered(open, at(hour), at(hour), gateRules)).toBeNull();
    expect(answered({ ...open, openAt: {} }, hour).failoverSince).toBeNull();
  });

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

  test('by denials as by other answers, when the outage has been followed by them for 10 s; the outage stays', () => {
    const denied = (stored: VaultHealth, ms: number) => vaultDenied(stored, at(ms), at(ms), gateRules);
    const down = { ...met(soundVault, 0), failoverSince: at(second) };
    expect(vaultDenied(down, noon, at(second), gateRules)).toBeNull();
    const once = denied(down, minute);
    expect(once).toEqual({ ...down, answeredAt: at(minute) });
    expect(denied(once!, minute + 10 * second - 1)).toBeNull();
    expect(denied(once!, minute + 10 * second)).toEqual({ ...once, failoverSince: null });
    // An outage in between, and it counts anew.
    expect(met(once!, minute + second)).toEqual(down);
    expect(denied({ ...down, openAt: { 'instance-1': noon } }, minute)).toBeNull();
    expect(denied(met(soundVault, 0), minute)).toBeNull();
    // After a success it is one answer more.
    expect(denied(failedOver, minute + 10 * second)).toEqual({ ...failedOver, failoverSince: null });
  });

  test('by denials also where the outage was stamped by a clock that has been set back since', () => {
    const wrong = { ...soundVault, outageSince: at(hour), failoverSince: noon };
    expect(vaultDenied(wrong, at(minute), at(minute), gateRules)).toEqual({ ...wrong, answeredAt: at(minute) });
  });

  test('where an end was stamped by a clock that has been set back since, at once', () => {
    const wrong = { ...soundVault, failoverSince: noon, answeredAt: at(hour) };
    expect(answered(wrong, minute).failoverSince).toBeNull();
  });
});

test('F3: an outage that lasts ages no proof, but after one success the next outage measures it anew', () => {
  const opens = (health: VaultHealth, now: number): boolean => {
    const primaryPicture = aPicture([anUntried(aRef(), { provenAt: at(-5 * minute) })], health);
    return mayFailOver(aQuestion({ now: at(now), primaryPicture }), gateRules).open;
  };
  expect(opens(met(soundVault, 0), 20 * minute)).toBe(true);
  expect(opens(met(after(20 * minute), 20 * minute + second), 20 * minute + second)).toBe(false);
});
