import { describe, expect, test } from 'vitest';
import { outlivedIn, restamped, unlinked } from '../../src/policy/access-upkeep.ts';
import { aLatch, anUntried, at, hour, minute, noon, second } from '../support/builders.ts';
import { aRef } from '../support/stored-values.ts';

const ref = aRef();
const day = 24 * hour;
const skew = 2 * second;

describe('F4: a link that is linked no longer', () => {
  const denials = { vault: noon, key: at(-minute), identity: at(-hour) };

  test('keeps its denials and doubts (F1), which reach others, and nothing else', () => {
    const refused = { get: { since: noon, finding: 'GetDenied' } } as const;
    const known = anUntried(ref, { denials, latch: aLatch(), provenAt: noon, doubtedAt: noon, refused, revision: 3 });
    expect(unlinked(known)).toEqual({ next: anUntried(ref, { denials, doubtedAt: noon, revision: 4 }), events: [] });
  });

  test('of which nothing is stored leaves nothing', () => {
    expect(unlinked(undefined)).toBeNull();
  });

  test('that was never denied leaves no row', () => {
    const refused = { wrapKey: { since: noon, finding: 'WrapDenied' } } as const;
    expect(unlinked(anUntried(ref, { provenAt: noon, refused }))).toEqual({ next: null, events: [] });
  });

  test('of which no more than denials is left costs no write', () => {
    expect(unlinked(anUntried(ref, { denials, doubtedAt: noon }))).toBeNull();
  });

  test('loses each denial and doubt when it is outlived, and with the last of them its row', () => {
    const known = anUntried(ref, { denials, doubtedAt: at(-hour), revision: 3 });
    const left = anUntried(ref, { denials: { vault: noon }, revision: 4 });
    expect(unlinked(known, (time) => time < noon)).toEqual({ next: left, events: [] });
    expect(unlinked(known, () => true)).toEqual({ next: null, events: [] });
  });
});

describe('F3, F4: a denial is outlived', () => {
  const picture = (...provenAt: readonly number[]) => ({
    vault: 'kv-west',
    health: { outageSince: null, openAt: {}, failoverSince: null },
    links: provenAt.map((time, i) => anUntried(aRef({ server: `sql-${i}` }), { provenAt: at(time) })),
    readAt: noon,
  });

  test.each([
    [-day, false],
    [-day - 1, true],
  ])('in a vault where all is proven, %i ms old: %s', (time, outlived) => {
    expect(outlivedIn(picture(-minute, -hour), noon, skew as never)(at(time))).toBe(outlived);
  });

  test.each([
    [2 * second, false],
    [2 * second + 1, true],
  ])('not while it voids a proof, sent %i ms after it: %s', (after, outlived) => {
    expect(outlivedIn(picture(-minute, -3 * day + after), noon, skew as never)(at(-3 * day))).toBe(outlived);
  });

  test('the proof at a latched link counts for nothing', () => {
    const latched = anUntried(ref, { latch: aLatch(), provenAt: at(-4 * day) });
    expect(outlivedIn({ ...picture(), links: [latched] }, noon, skew as never)(at(-3 * day))).toBe(true);
  });
});

describe('F5: what a clock stamped that has been set back since', () => {
  const ahead = { denials: { vault: at(hour), key: at(-hour) }, doubtedAt: at(hour), revision: 3 };
  const refused = { wrapKey: { since: at(hour), finding: 'WrapDenied' } } as const;

  test('counts as met when it is noticed; what may be two clocks apart stays', () => {
    const right = anUntried(ref, {
      denials: { vault: noon, key: at(-hour) },
      doubtedAt: noon,
      refused: { wrapKey: { since: noon, finding: 'WrapDenied' } },
      revision: 4,
    });
    expect(restamped(anUntried(ref, { ...ahead, refused }), noon, [])).toEqual({ next: right, events: [] });
    expect(restamped(anUntried(ref, { denials: { vault: at(minute) } }), noon, [])).toBeNull();
    expect(restamped(undefined, noon, [])).toBeNull();
  });

  test('a clock that is behind makes no denial older than a proof that it voids', () => {
    const proofs = [at(30 * minute), at(2 * hour), at(-hour)];
    expect(restamped(anUntried(ref, ahead), noon, proofs)?.next).toMatchObject({ denials: { vault: at(30 * minute) } });
  });
});
