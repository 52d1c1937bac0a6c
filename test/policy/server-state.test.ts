import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AccessClock, ServerState } from '../../src/domain/server.ts';
import { instant } from '../../src/domain/time.ts';
import type { Instant } from '../../src/domain/time.ts';
import {
  allowed,
  online,
  standingAt,
  standingUnder,
  standingWithProtector,
  type Act,
  type Standing,
} from '../../src/policy/server-state.ts';
import { aLatch, at, hour, minute, noon, stateRules } from '../support/builders.ts';
import { aServer } from '../support/stored-values.ts';

/** The clock of a first denial at noon: literals of A2 and A3. */
const clock: AccessClock = { firstDenialAt: noon, inaccessibleAt: at(10 * minute), healsUntil: at(8 * hour) };
const dawn = at(-3 * hour);
const states: readonly ServerState[] = ['pendingValidation', 'online', 'atRisk', 'inaccessible', 'needsRevalidation'];
const confirmed = aLatch({ status: 'confirmed' });

function standing(state: ServerState): Standing {
  return { state, since: dawn, clock: state === 'pendingValidation' || state === 'online' ? null : clock };
}

describe('A2, A3: the clock alone moves a server on, at its moment and not before', () => {
  test.each<[ServerState, number, ServerState, Instant]>([
    ['atRisk', 10 * minute - 1, 'atRisk', dawn],
    ['atRisk', 10 * minute, 'inaccessible', at(10 * minute)],
    ['atRisk', 8 * hour - 1, 'inaccessible', at(10 * minute)],
    ['atRisk', 8 * hour, 'needsRevalidation', at(8 * hour)],
    ['inaccessible', 10 * minute, 'inaccessible', dawn],
    ['inaccessible', 8 * hour - 1, 'inaccessible', dawn],
    ['inaccessible', 8 * hour, 'needsRevalidation', at(8 * hour)],
    ['inaccessible', 800 * hour, 'needsRevalidation', at(8 * hour)],
    ['needsRevalidation', 800 * hour, 'needsRevalidation', dawn],
    ['online', 800 * hour, 'online', dawn],
    ['pendingValidation', 800 * hour, 'pendingValidation', dawn],
    ['atRisk', -hour, 'atRisk', dawn],
  ])('%s, %i ms after the first denial: %s', (before, ms, state, since) => {
    expect(standingAt(standing(before), at(ms))).toEqual({ state, since, clock: standing(before).clock });
  });

  test('looking often leads where looking once leads', () => {
    const moments = fc.array(fc.integer({ min: -hour, max: 10 * hour }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(moments, fc.constantFrom(...states), (unsorted, state) => {
        const sorted = unsorted.toSorted((a, b) => a - b);
        const stepwise = sorted.reduce((now, ms) => standingAt(now, at(ms)), standing(state));
        expect(stepwise).toEqual(standingAt(standing(state), at(sorted.at(-1)!)));
      }),
    );
  });
});

describe('A2–A4: what the latch on the protector brings about', () => {
  test.each([
    ['no latch', null],
    ['a suspected latch', aLatch()],
  ])('F6, A4: online stays online under %s', (_name, latch) => {
    expect(standingUnder(latch, standing('online'), at(hour), stateRules)).toEqual(standing('online'));
  });

  test.each<[number, ServerState, Instant]>([
    [40_000, 'atRisk', at(40_000)],
    [10 * minute - 1, 'atRisk', at(10 * minute - 1)],
    [10 * minute, 'inaccessible', at(10 * minute)],
    [8 * hour - 1, 'inaccessible', at(10 * minute)],
    [8 * hour, 'needsRevalidation', at(8 * hour)],
  ])(
    'A2: a latch that is found confirmed %i ms after its first denial makes online %s; the clock counts from the denial',
    (ms, state, since) => {
      expect(standingUnder(confirmed, standing('online'), at(ms), stateRules)).toEqual({ state, since, clock });
    },
  );

  test.each([
    ['atRisk', 9 * minute],
    ['atRisk', 7 * hour],
    ['inaccessible', 10 * minute],
    ['inaccessible', 8 * hour - 1],
  ] as const)('A2, A3: %s heals by itself %i ms after the first denial once the latch is released', (state, ms) => {
    expect(standingUnder(null, standing(state), at(ms), stateRules)).toEqual({ state: 'online', since: at(ms), clock: null });
  });

  test.each(['atRisk', 'inaccessible'] as const)('A3: at healsUntil a person must revalidate, though access is back (%s)', (state) => {
    expect(standingUnder(null, standing(state), at(8 * hour), stateRules)).toEqual({
      state: 'needsRevalidation',
      since: at(8 * hour),
      clock,
    });
  });

  test.each(['atRisk', 'inaccessible'] as const)('%s does not heal under a latch, suspected or confirmed', (state) => {
    for (const latch of [confirmed, aLatch({ firstDenialAt: at(minute), newestDenialAt: at(minute) })]) {
      expect(standingUnder(latch, standing(state), at(5 * minute), stateRules)).toEqual(standing(state));
    }
  });

  test.each(['pendingValidation', 'needsRevalidation'] as const)('A1, A3: no latch and no release moves %s', (state) => {
    for (const latch of [null, aLatch(), confirmed]) {
      expect(standingUnder(latch, standing(state), at(9 * hour), stateRules)).toEqual(standing(state));
    }
  });

  test('a later latch starts a clock of its own', () => {
    const later = aLatch({ status: 'confirmed', firstDenialAt: at(hour), newestDenialAt: at(hour) });
    expect(standingUnder(later, online(at(minute)), at(hour + minute), stateRules)).toEqual({
      state: 'atRisk',
      since: at(hour + minute),
      clock: { firstDenialAt: at(hour), inaccessibleAt: at(hour + 10 * minute), healsUntil: at(9 * hour) },
    });
  });

  test('A1–A6: whatever the latches, `inaccessible` comes 10 minutes after the first denial at the earliest and `needsRevalidation` 8 hours after', () => {
    const latches = fc.option(fc.constantFrom(aLatch(), confirmed), { nil: null });
    const steps = fc.array(fc.record({ wait: fc.integer({ min: 0, max: 3 * hour }), latch: latches }), { maxLength: 12 });
    fc.assert(
      fc.property(steps, (script) => {
        let now = noon;
        let stands: Standing = online(dawn);
        for (const { wait, latch } of script) {
          now = instant(now + wait);
          stands = standingUnder(latch, stands, now, stateRules);
          expect(stands.clock === null).toBe(stands.state === 'online');
          expect(stands.since).toBeLessThanOrEqual(now);
          if (stands.state === 'inaccessible') expect(now - noon).toBeGreaterThanOrEqual(10 * minute);
          expect(stands.state === 'needsRevalidation').toBe(stands.state !== 'online' && now - noon >= 8 * hour);
        }
      }),
    );
  });
});

describe('A1, A2: what an accepted protector brings about', () => {
  const now = at(5 * minute);
  const back = online(now);

  test.each<[string, ServerState, 'restore' | 'replica' | null, boolean, Standing]>([
    ['the first protector of a new server', 'pendingValidation', null, true, back],
    ['a protector with the same thumbprint on a new server', 'pendingValidation', null, false, back],
    ['A1: a restored server waits for revalidate', 'pendingValidation', 'restore', true, standing('pendingValidation')],
    ['A1: a replica waits for revalidate', 'pendingValidation', 'replica', true, standing('pendingValidation')],
    ['a rotation', 'online', null, true, standing('online')],
    ['A2: other material ends the risk', 'atRisk', null, true, back],
    ['A2: also on a restored server', 'atRisk', 'restore', true, back],
    ['A2: the same material does not end the risk', 'atRisk', null, false, standing('atRisk')],
    ['A6: inaccessible takes no protector', 'inaccessible', null, true, standing('inaccessible')],
    ['A6: needsRevalidation takes no protector', 'needsRevalidation', null, true, standing('needsRevalidation')],
  ])('%s (%s, origin %s)', (_name, state, origin, ...[other, expected]) => {
    const server = aServer('sql-demo', { ...standing(state), origin });
    const { state: next, since, clock: runs } = standingWithProtector(server, other, now);
    expect({ state: next, since, clock: runs }).toEqual(expected);
  });

  test('A2: a server that became inaccessible meanwhile is not saved by a protector', () => {
    const server = aServer('sql-demo', standing('atRisk'));
    expect(standingWithProtector(server, true, at(10 * minute))).toMatchObject({ state: 'inaccessible', since: at(10 * minute) });
    expect(standingWithProtector(server, true, at(10 * minute - 1))).toEqual(online(at(10 * minute - 1)));
  });
});

describe('A6: what each state allows', () => {
  const table: Readonly<Record<Act, readonly ServerState[]>> = {
    operate: ['online', 'atRisk'],
    setProtector: ['pendingValidation', 'online', 'atRisk'],
    linkAdditional: states,
    dropKey: ['online', 'atRisk'],
    registerDatabase: states,
    revalidate: ['pendingValidation', 'inaccessible', 'needsRevalidation'],
    delete: states,
  };

  test.each(Object.entries(table) as [Act, readonly ServerState[]][])('%s: %j', (act, where) => {
    expect(states.filter((state) => allowed[state].includes(act))).toEqual(where);
  });
});
