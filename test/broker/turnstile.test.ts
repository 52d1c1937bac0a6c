import { expect, test } from 'vitest';
import type { Drawn, LeaseHolder } from '../../src/broker/lease-holder.ts';
import { Turnstile } from '../../src/broker/turnstile.ts';
import { nothing } from '../../src/domain/budget.ts';
import { millis } from '../../src/domain/time.ts';
import { request, rules } from '../support/admission-fleet.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';

/** A turnstile that has nothing to give for 20 s, beside another instance; each draw comes to what is told. */
function rig() {
  const clock = virtualClock();
  const seen = { away: false, drawn: 'dry' as Drawn };
  const holder = {
    drawing: false,
    roundTripMs: 10,
    picture: {
      view: {},
      alone: false,
      age: () => 0,
      limit: () => ({ points: 1000, service: 1_000_000 }),
      rivals: () => 1,
      busy: () => 1,
      expects: () => false,
      elsewhere: { take: () => false },
    },
    away: { inForce: () => seen.away },
    take: () => false,
    left: () => nothing,
    wait: () => millis(20_000),
    untilFree: () => millis(20_000),
    cutAwayLease: () => false,
    nextAwayLease: () => Infinity,
    returnsAt: () => Infinity,
    owesReport: () => false,
    draw: (demand: () => unknown) => {
      demand();
      return Promise.resolve(seen.drawn);
    },
  } as unknown as LeaseHolder;
  const settings = { windowMs: rules.windowMs, leaseMs: rules.leaseMs, queueLength: 10_000, bookedPointsAServer: 950 };
  const turnstile = new Turnstile(holder, clock, settings);
  const fare = { cost: { points: 2, service: 313 }, shape: 'RSA/2048' };
  const ask = (server: string) => turnstile.ask(request({ server, within: millis(500) }), fare, clock.elapsed());
  return { seen, ask };
}

test.each<[string, Drawn, 'number' | 'object']>([
  ['a draw that told the row of them: more may be sent away at once', 'dry', 'number'],
  ['a draw whose write may never have come to the store: the next waits until the row knows', 'away', 'object'],
])('B4: after as many announcements as one instance may make alone, and %s', async (_what, drawn, then) => {
  const { seen, ask } = rig();
  seen.away = true;
  for (let k = 0; k < 20; k += 1) expect(ask(`sql-${k}`)).toBeTypeOf('number');
  seen.away = false;
  seen.drawn = drawn;
  expect(ask('sql-waits')).toBeTypeOf('object');
  await settled();
  expect(ask('sql-late')).toBeTypeOf(then);
});
