import fc from 'fast-check';
import type { KeyOperation } from '../../../src/domain/key.ts';
import { plans } from '../world/fleet.ts';
import type { Trouble, VaultName } from '../world/vaults.ts';
import { drop, link, protect, register, unregister } from './operators.ts';
import { arbitraryOf, at, server, vault } from './step.ts';
import { storeComes, storeGoes, wrongClock } from './store-and-clocks.ts';
import type { Step } from './steps.ts';
import { ask, pause } from './traffic.ts';
import { denialBegins, everything, outageBegins, partialOutageBegins } from './vault-faults.ts';

/** Steps that chance alone seldom puts in a row. */
type Episode = fc.Arbitrary<readonly Step[]>;

/** A success that is under way, sent by one who knows of the latch, while another instance meets a newer denial. */
const lateAnswer: Episode = fc.tuple(at, server).map(([one, asked]) => {
  const forbid = (operations: readonly KeyOperation[]): Step => ({
    do: 'forbid',
    vault: 'west',
    identity: plans[asked]!.identity,
    operations,
  });
  const unwrap = (place: number): Step => ({ do: 'ask', at: place, server: asked, what: 'unwrap' });
  const slow = (trouble: Trouble | null): Step => ({ do: 'trouble', vault: 'west', trouble });
  const wait = (ms: number): Step => ({ do: 'pass', ms });
  const met: Step[] = [forbid(everything), unwrap(one), wait(100), { do: 'watch', at: 1 - one }, wait(100)];
  return [...met, forbid([]), slow('slow'), unwrap(1 - one), wait(20), slow(null), forbid(everything), unwrap(one), wait(2100)];
});

/** An outage that is met by traffic. */
const outage: Episode = fc.tuple(pause(16_000, 31_000), outageBegins, pause(3, 20, 2100), ask, ask, pause(3, 950, 2100), ask, pause(5000));
const wrap = arbitraryOf('ask', { at, server, what: fc.constant('wrap' as const) });
/** The same of one operation alone, which ends or becomes one of all. */
const partialOutage: Episode = fc.tuple(
  pause(16_000, 31_000),
  partialOutageBegins,
  wrap,
  ask,
  pause(3, 20, 2100),
  wrap,
  ask,
  pause(2100, 16_000),
  wrap,
  fc.oneof(ask, outageBegins, denialBegins),
  ask,
  pause(5000, 16_000),
);
/** A denial right before an outage, or right after one began. */
const denialThenOutage: Episode = fc.tuple(
  denialBegins,
  ask,
  pause(3, 20, 400),
  outageBegins,
  ask,
  pause(950, 1100, 2100),
  ask,
  pause(20, 660_000),
  ask,
);
const outageThenDenial: Episode = fc.tuple(
  outageBegins,
  ask,
  pause(20, 2100),
  ask,
  denialBegins,
  pause(3, 400),
  ask,
  ask,
  pause(950, 1100),
);

/** The primary's vault and those of the first standbys are down: the next one is asked; one of them denies. */
const fallThrough: Episode = fc
  .record({
    waitMs: fc.constantFrom(16_000, 31_000),
    first: fc.constantFrom<Trouble>('refuse', 'error5xx'),
    second: fc.constantFrom<VaultName>('north', 'south', 'east'),
    trouble: fc.constantFrom<Trouble>('refuse', 'error5xx', 'firewall', 'throttle'),
    place: at,
  })
  .map(({ waitMs, first, second, trouble, place }) => [
    { do: 'pass', ms: waitMs },
    { do: 'trouble', vault: 'west', trouble: first },
    { do: 'trouble', vault: second, trouble },
    { do: 'pass', ms: 15_000 },
    { do: 'ask', at: place, server: 0, what: 'unwrap' },
    { do: 'pass', ms: 2100 },
    { do: 'ask', at: 1 - place, server: 0, what: 'wrap' },
    { do: 'pass', ms: 5000 },
  ]);

/** A latched primary, whose standby's vault has an outage or says no, while timers and people look at links. */
const standbyOfLatched: Episode = fc.tuple(
  outageBegins,
  ask,
  pause(2100),
  denialBegins,
  ask,
  fc.oneof(outageBegins, denialBegins),
  pause(16_000, 31_000),
  fc.oneof(arbitraryOf('drill', { at, server }), arbitraryOf('audit', { at }), arbitraryOf('revalidate', { at, server })),
  pause(16_000, 31_000),
);

/** A vault that throttles for a while, beside one that is down. */
const throttled: Episode = fc.tuple(
  arbitraryOf('trouble', { vault, trouble: fc.constant('throttle' as const) }),
  ask,
  pause(20, 1100, 5000),
  ask,
  fc.oneof(outageBegins, ask),
  pause(2100, 16_000),
  ask,
  pause(5000, 16_000),
);

/** The fleet changes while something is wrong. */
const changeInTrouble: Episode = fc.tuple(
  fc.oneof(outageBegins, denialBegins, storeGoes),
  ask,
  pause(20, 2100, 31_000),
  fc.oneof(protect, link, drop, unregister),
  pause(3, 20, 100),
  fc.oneof(ask, storeGoes, denialBegins),
  pause(400, 5000),
  fc.oneof(register, link, storeComes),
  pause(2100, 5000),
  ask,
);

/** A former protector, and then its outage (K5, K6). */
const formerProtector: Episode = fc.tuple(
  protect,
  pause(1100, 5000),
  arbitraryOf('ask', { at, server, what: fc.constant('unwrapFormer' as const) }),
  outageBegins,
  pause(20, 2100),
  ask,
  ask,
  pause(5000),
);

/** A deleted vault that answers as if it were down, while somebody asks (F9). */
const deletedAsIfDown: Episode = fc.tuple(
  pause(16_000, 31_000),
  arbitraryOf('delete', { vault, answers: fc.constant('503' as const) }),
  pause(1100, 2100),
  ask,
  pause(20, 2100),
  ask,
  pause(5000),
);

/** A key expires, which refuses wraps and nothing else (C2), and then its vault has an outage. */
const expiredThenOutage: Episode = fc.tuple(at, server, pause(20, 950, 16_000)).map(([place, index, wait]) => {
  const wrap: Step = { do: 'ask', at: place, server: index, what: 'wrap' };
  const key = plans[index]!.groups[0]!.key;
  const expires: Step = { do: 'expire', vault: 'west', key, expired: true };
  const goes: Step = { do: 'trouble', vault: 'west', trouble: 'refuse' };
  return [expires, wrap, wait, goes, { do: 'pass', ms: 2100 }, wrap, { do: 'pass', ms: 5000 }];
});

/** Access is taken and given back; within ten minutes the vault has an outage (F5). */
const quietTime: Episode = fc.tuple(at, server, pause(16_000, 65_000)).map(([place, index, wait]) => {
  const { identity } = plans[index]!;
  const forbid = (operations: readonly KeyOperation[]): Step => ({ do: 'forbid', vault: 'west', identity, operations });
  const unwrap: Step = { do: 'ask', at: place, server: index, what: 'unwrap' };
  const goes: Step = { do: 'trouble', vault: 'west', trouble: 'refuse' };
  return [forbid(everything), unwrap, { do: 'pass', ms: 100 }, forbid([]), wait, unwrap, wait, goes, unwrap, { do: 'pass', ms: 5000 }];
});

/** An answer that may hide a denial, right before an outage (F1). */
const doubtThenOutage: Episode = fc.tuple(at, server, fc.constantFrom<Trouble>('unknown403', 'unknown401')).map(([place, index, doubt]) => {
  const unwrap: Step = { do: 'ask', at: place, server: index, what: 'unwrap' };
  const west = (trouble: Trouble): Step => ({ do: 'trouble', vault: 'west', trouble });
  return [
    west(doubt),
    unwrap,
    { do: 'pass', ms: 1100 },
    west('refuse'),
    unwrap,
    { do: 'pass', ms: 2100 },
    unwrap,
    { do: 'pass', ms: 5000 },
  ];
});

/** A server at risk asks by a former protector, whose own primary is down (A2, F3). */
const atRiskByFormer: Episode = fc.tuple(at, pause(2100, 16_000)).map(([place, wait]) => {
  const ask = (what: 'unwrap' | 'unwrapFormer'): Step => ({ do: 'ask', at: place, server: 3, what });
  const denied: Step = { do: 'key', vault: 'west', key: 'k2', state: 'disabled' };
  const goes: Step = { do: 'trouble', vault: 'north', trouble: 'refuse' };
  return [denied, ask('unwrap'), { do: 'pass', ms: 65_000 }, goes, wait, ask('unwrapFormer'), { do: 'pass', ms: 5000 }];
});

/** A denial, or an outage, by a clock that is wrong. */
const wrongStamps: Episode = fc.tuple(
  wrongClock,
  pause(3, 16_000),
  fc.oneof(denialBegins, outageBegins),
  ask,
  pause(20, 2100),
  outageBegins,
  ask,
  ask,
  pause(5000),
);

export const episodes: readonly fc.WeightedArbitrary<readonly Step[]>[] = [
  { weight: 1, arbitrary: lateAnswer },
  { weight: 2, arbitrary: outage },
  { weight: 2, arbitrary: partialOutage },
  { weight: 2, arbitrary: denialThenOutage },
  { weight: 1, arbitrary: outageThenDenial },
  { weight: 1, arbitrary: fallThrough },
  { weight: 1, arbitrary: standbyOfLatched },
  { weight: 1, arbitrary: throttled },
  { weight: 1, arbitrary: changeInTrouble },
  { weight: 1, arbitrary: formerProtector },
  { weight: 1, arbitrary: deletedAsIfDown },
  { weight: 1, arbitrary: expiredThenOutage },
  { weight: 1, arbitrary: wrongStamps },
  { weight: 1, arbitrary: quietTime },
  { weight: 1, arbitrary: doubtThenOutage },
  { weight: 1, arbitrary: atRiskByFormer },
];
