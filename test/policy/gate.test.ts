import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AccessPicture, LinkAccess } from '../../src/domain/access.ts';
import type { ServerState } from '../../src/domain/server.ts';
import { mayFailOver, type GateAnswer, type GateQuestion } from '../../src/policy/gate.ts';
import { aLatch, anUntried, aPicture, aQuestion, aStandbyRef, at, gateRules, hour, minute, noon, second } from '../support/builders.ts';
import { aRef, keyId } from '../support/stored-values.ts';

const ref = aRef();
const standby = aStandbyRef();
const neighbour = aRef({ server: 'sql-other', keyId: keyId('kv-west', 'b'.repeat(32)) });
const standbysNeighbour = aStandbyRef({ server: 'sql-other', keyId: keyId('kv-north', 'b'.repeat(32)) });

function ask(changes: Partial<GateQuestion> = {}): GateAnswer {
  return mayFailOver(aQuestion(changes), gateRules);
}

/** The primary's picture, its proof a minute before the outage that began at noon. */
function primary(changes: Partial<LinkAccess> = {}, ...others: readonly LinkAccess[]): AccessPicture {
  return aPicture([anUntried(ref, { provenAt: at(-minute), ...changes }), ...others], { outageSince: noon });
}

function standbyWith(changes: Partial<LinkAccess> = {}, ...others: readonly LinkAccess[]): AccessPicture {
  return aPicture([anUntried(standby, { provenAt: at(-hour), ...changes }), ...others]);
}

test('F3: with everything sound the gate opens, to unwrap and to wrap', () => {
  expect(ask()).toEqual({ open: true });
  expect(ask({ operation: 'wrapKey' })).toEqual({ open: true });
  // Suspected, elsewhere than at the primary: the server is online (A2).
  expect(ask({ protectorLatch: aLatch() })).toEqual({ open: true });
});

describe('each rule alone forbids, and the answer names its law', () => {
  const denied = { denials: { identity: at(-minute) } };
  test.each<[string, string, RegExp, Partial<GateQuestion>]>([
    ['F3', 'the server is at risk', /atRisk/, { state: 'atRisk' }],
    [
      'F3',
      'the latch of the protector is confirmed, which makes it so',
      /protector is latched since 2026-11-22T12:00/,
      { protectorLatch: aLatch({ status: 'confirmed' }) },
    ],
    ['F9', 'the vault was deleted', /kv-west was deleted/, { controlPlane: 'deleted' }],
    [
      'F4',
      'the primary has a suspected latch',
      /denied at 2026-11-22T12:00:00.000Z \(suspected\)/,
      { primaryPicture: primary({ latch: aLatch() }) },
    ],
    ['F4', 'the primary has a confirmed latch', /\(confirmed\)/, { primaryPicture: primary({ latch: aLatch({ status: 'confirmed' }) }) }],
    ['F5', 'the primary was denied lately', /until 2026-11-22T12:09:00.000Z/, { primaryPicture: primary(denied) }],
    ['F5', 'a neighbour was denied lately', /kv-west/, { primaryPicture: primary({}, anUntried(neighbour, denied)) }],
    ['F3', 'nothing is known of the primary', /nothing proves .* kv-west/, { primaryPicture: aPicture([], { outageSince: noon }) }],
    ['F3', 'the primary was never proven', /nothing proves .* kv-west/, { primaryPicture: primary({ provenAt: null }) }],
    [
      'F3',
      'the proof of the primary is too old',
      /kv-west is of 2026-11-22T11:00:00.000Z/,
      { primaryPicture: primary({ provenAt: at(-hour) }) },
    ],
    ['F1', 'an answer of the primary may hide a denial', /kv-west .* may hide a denial/, { primaryPicture: primary({ doubtedAt: noon }) }],
    ['F3', 'the standby is latched', /kv-north is latched since 2026-11-22T12:00/, { standbyPicture: standbyWith({ latch: aLatch() }) }],
    ['F3', 'nothing is known of the standby', /nothing proves .* kv-north/, { standbyPicture: aPicture([]) }],
    ['F3', 'the proof of the standby is too old', /kv-north is of/, { standbyPicture: standbyWith({ provenAt: at(-25 * hour) }) }],
    ['F4', 'a denial voids the proof of the standby', /kv-north .* voids/, { standbyPicture: standbyWith(denied) }],
    ['F4', "a neighbour's denial voids it too", /kv-north/, { standbyPicture: standbyWith({}, anUntried(standbysNeighbour, denied)) }],
    ['F1', 'an answer of the standby may hide a denial', /kv-north .* may hide/, { standbyPicture: standbyWith({ doubtedAt: noon }) }],
  ])('%s: %s', (law, _name, detail, changes) => {
    for (const operation of ['wrapKey', 'unwrapKey'] as const) {
      const answer = ask({ operation, ...changes });
      expect(answer).toMatchObject({ open: false, law });
      expect(answer.open ? '' : answer.detail).toMatch(detail);
    }
  });

  test.each<[ServerState, boolean]>([
    ['pendingValidation', false],
    ['online', true],
    ['atRisk', false],
    ['inaccessible', false],
    ['needsRevalidation', false],
  ])('F3: a server that is %s: %s', (state, open) => {
    expect(ask({ state }).open).toBe(open);
  });

  test.each([
    ['exists', true],
    ['unknown', true],
    ['deleted', false],
  ] as const)('F9: the control plane says %s: %s; its silence is no veto', (controlPlane, open) => {
    expect(ask({ controlPlane }).open).toBe(open);
  });
});

describe('F4: the order in which laws are asked puts the denial before the missing proof', () => {
  test.each<[string, Partial<GateQuestion>]>([
    ['F3', { state: 'atRisk', controlPlane: 'deleted' }],
    ['F9', { controlPlane: 'deleted', primaryPicture: primary({ latch: aLatch() }) }],
    ['F4', { primaryPicture: primary({ latch: aLatch(), denials: { identity: noon }, provenAt: null }) }],
    ['F5', { primaryPicture: primary({ denials: { identity: noon }, provenAt: null }) }],
  ])('%s comes first', (law, changes) => {
    expect(ask(changes)).toMatchObject({ open: false, law });
  });
});

describe('F4, C2: wrap refused at the primary does not fail over until it succeeds there; unwrap does', () => {
  test.each(['WrapDenied', 'KeyExpired'] as const)('%s', (finding) => {
    const primaryPicture = primary({ refused: { wrapKey: { since: at(-hour), finding } } });
    expect(ask({ primaryPicture, operation: 'wrapKey' })).toMatchObject({ open: false, law: 'F4' });
    expect(ask({ primaryPicture, operation: 'unwrapKey' })).toEqual({ open: true });
  });

  test('a refused get keeps no key operation back', () => {
    const primaryPicture = primary({ refused: { get: { since: at(-hour), finding: 'GetDenied' } } });
    expect(ask({ primaryPicture, operation: 'wrapKey' })).toEqual({ open: true });
  });

  test("what another server's wrap was refused is not this server's", () => {
    const other = anUntried(aRef({ server: 'sql-other' }), { refused: { wrapKey: { since: noon, finding: 'WrapDenied' } } });
    expect(ask({ primaryPicture: primary({}, other), operation: 'wrapKey' })).toEqual({ open: true });
  });
});

describe('F4: a latch is of its own link', () => {
  test.each([
    ["another server's link of the same key", aRef({ server: 'sql-other' })],
    ["another key's link", neighbour],
  ])('%s is latched: its denial reaches, its latch does not', (_name, other) => {
    expect(ask({ primaryPicture: primary({}, anUntried(other, { latch: aLatch() })) })).toEqual({ open: true });
    expect(ask({ standbyPicture: standbyWith({}, anUntried({ ...other, vault: 'kv-north' }, { latch: aLatch() })) })).toEqual({
      open: true,
    });
  });

  test('the latch that was set under another identity holds', () => {
    const before = aRef({ identity: 'identity-before' });
    const rows = [anUntried(before, { latch: aLatch() }), anUntried(aRef({ server: 'sql-other' }), { provenAt: at(-minute) })];
    expect(ask({ primaryPicture: aPicture(rows, { outageSince: noon }) })).toMatchObject({ open: false, law: 'F4' });
  });
});

describe("F3: the primary's proof is at most 15 minutes older than the beginning of the outage", () => {
  test.each([
    [15 * minute, true],
    [15 * minute + 1, false],
  ])('%i ms before it: %s', (ms, open) => {
    expect(ask({ primaryPicture: primary({ provenAt: at(-ms) }) }).open).toBe(open);
  });

  test('an outage that lasts ages no proof', () => {
    for (const now of [at(minute), at(16 * minute), at(72 * hour)]) expect(ask({ now })).toEqual({ open: true });
  });

  test.each([
    [15 * minute, true],
    [15 * minute + 1, false],
  ])('an outage whose beginning is not stored yet begins now: a proof %i ms old: %s', (ms, open) => {
    const primaryPicture = aPicture([anUntried(ref, { provenAt: at(5 * second - ms) })]);
    expect(ask({ primaryPicture }).open).toBe(open);
  });

  test('a proof by another identity, of another key or of another vault proves nothing', () => {
    const strangers = [aRef({ identity: 'identity-b' }), neighbour].map((other) => anUntried(other, { provenAt: at(-minute) }));
    expect(ask({ primaryPicture: aPicture(strangers, { outageSince: noon }) })).toMatchObject({ open: false, law: 'F3' });
    expect(ask({ primaryPicture: standbyWith() })).toMatchObject({ open: false, law: 'F3' });
  });

  test('a proof by another server with the same key and identity proves as much', () => {
    const shared = anUntried(aRef({ server: 'sql-other' }), { provenAt: at(-minute) });
    expect(ask({ primaryPicture: aPicture([shared], { outageSince: noon }) })).toEqual({ open: true });
  });
});

describe("F3: the standby's proof is at most 24 hours older than the beginning of the outage", () => {
  test.each([
    [24 * hour, true],
    [24 * hour + 1, false],
  ])("%i ms before the outage of the primary's vault: %s", (ms, open) => {
    expect(ask({ standbyPicture: standbyWith({ provenAt: at(-ms) }) }).open).toBe(open);
    expect(ask({ standbyPicture: standbyWith({ provenAt: at(-ms) }), now: at(100 * hour) }).open).toBe(open);
  });

  test("the outage of the standby's own vault is not what is measured against", () => {
    const standbyPicture = aPicture([anUntried(standby, { provenAt: at(-25 * hour) })], { outageSince: at(-10 * hour) });
    expect(ask({ standbyPicture }).open).toBe(false);
  });

  test.each([
    ['is not stored yet', null],
    ['was stamped by a clock that ran ahead', at(7 * hour)],
  ])('where the beginning %s, now is', (_what, outageSince) => {
    const primaryPicture = aPicture([anUntried(ref, { provenAt: at(-minute) })], { outageSince });
    const aged = (ms: number): boolean => ask({ primaryPicture, standbyPicture: standbyWith({ provenAt: at(5 * second - ms) }) }).open;
    expect([aged(24 * hour), aged(24 * hour + 1)]).toEqual([true, false]);
  });
});

describe('F5: no failover for 10 minutes after a denial that reaches the primary', () => {
  const since = at(10 * minute);

  /** Proven after the denial at noon, and down since ten minutes later. */
  function healed(denial: Partial<LinkAccess>, ...others: readonly LinkAccess[]): AccessPicture {
    return aPicture([anUntried(ref, { provenAt: at(9 * minute), ...denial }), ...others], { outageSince: since });
  }

  test.each([
    [10 * minute - 1, false],
    [10 * minute, true],
  ])('%i ms after it: %s', (ms, open) => {
    for (const reach of ['vault', 'key', 'identity'] as const) {
      expect(ask({ now: at(ms), primaryPicture: healed({ denials: { [reach]: noon } }) }).open).toBe(open);
    }
    expect(ask({ now: at(ms), primaryPicture: healed({}, anUntried(neighbour, { denials: { vault: noon } })) }).open).toBe(open);
  });

  test('a denial that does not reach it keeps nothing back', () => {
    expect(ask({ primaryPicture: primary({}, anUntried(neighbour, { denials: { key: noon } })) })).toEqual({ open: true });
  });

  test('a denial from the future holds as well: clocks may have jumped', () => {
    expect(ask({ primaryPicture: healed({ denials: { identity: at(hour) } }), now: at(10 * minute) })).toMatchObject({
      open: false,
      law: 'F5',
    });
  });

  test('a denial at the standby does not forbid for ten minutes, it voids the proof', () => {
    const standbyPicture = standbyWith({ provenAt: at(-minute), denials: { identity: at(-2 * minute) } });
    expect(ask({ standbyPicture })).toEqual({ open: true });
  });
});

describe('F3, F4, F1: a proof counts as newer than a denial or a doubt only by more than the clocks may differ', () => {
  const long = at(-2 * hour);
  const cases = [
    [-1, false],
    [0, false],
    [2000, false],
    [2001, true],
  ] as const;

  test.each(cases)('F4: proven %i ms after a denial of the primary: %s', (ms, open) => {
    const picture = aPicture([anUntried(ref, { provenAt: at(-2 * hour + ms), denials: { key: long } })], { outageSince: long });
    expect(ask({ primaryPicture: picture, standbyPicture: standbyWith({ provenAt: long }) })).toEqual(
      open ? { open } : expect.objectContaining({ open, law: 'F4' }),
    );
  });

  test.each(cases)('F4: proven %i ms after a denial of the standby: %s', (ms, open) => {
    const standbyPicture = standbyWith({ provenAt: at(-2 * hour + ms), denials: { key: long } });
    expect(ask({ standbyPicture })).toEqual(open ? { open } : expect.objectContaining({ open, law: 'F4' }));
  });

  test.each(cases)('F1: proven %i ms after a doubt: %s', (ms, open) => {
    const doubted = { provenAt: at(-10 * minute + ms), doubtedAt: at(-10 * minute) };
    const expected: unknown = open ? { open } : expect.objectContaining({ open, law: 'F1' });
    expect(ask({ primaryPicture: primary(doubted) })).toEqual(expected);
    expect(ask({ standbyPicture: standbyWith(doubted) })).toEqual(expected);
  });

  test("F1: another server's doubt at the same key counts, by whatever identity, at another key it does not", () => {
    const doubted = { doubtedAt: noon };
    const otherIdentity = anUntried(aRef({ server: 'sql-other', identity: 'identity-b' }), doubted);
    expect(ask({ primaryPicture: primary({}, otherIdentity) })).toMatchObject({ open: false, law: 'F1' });
    expect(ask({ primaryPicture: primary({}, anUntried(aRef({ server: 'sql-other' }), doubted)) })).toMatchObject({
      open: false,
      law: 'F1',
    });
    expect(ask({ primaryPicture: primary({}, anUntried(neighbour, doubted)) })).toEqual({ open: true });
  });
});

describe('F3: a proof from the future proves nothing', () => {
  test.each([
    [2000, true],
    [2001, false],
  ])('%i ms ahead: %s', (ms, open) => {
    const provenAt = at(5 * second + ms);
    expect(ask({ primaryPicture: primary({ provenAt }) })).toEqual(open ? { open } : expect.objectContaining({ open, law: 'F3' }));
    expect(ask({ standbyPicture: standbyWith({ provenAt }) })).toEqual(open ? { open } : expect.objectContaining({ open, law: 'F3' }));
  });

  test('it does not hide the sound proof of another server with the same key and identity', () => {
    const jumped = anUntried(aRef({ server: 'sql-other' }), { provenAt: at(24 * hour) });
    expect(ask({ primaryPicture: primary({}, jumped) })).toEqual({ open: true });
  });
});

describe('refuse by default', () => {
  const time = fc.integer({ min: -26 * hour, max: hour }).map(at);
  const maybe = fc.option(time, { nil: null, freq: 2 });
  const denials = fc.record({ vault: time, key: time, identity: time }, { requiredKeys: [] });
  const latch = fc.option(fc.constant(aLatch()), { nil: null, freq: 8 });

  function links(...refs: readonly (typeof ref)[]): fc.Arbitrary<readonly LinkAccess[]> {
    const row = fc.record({
      ref: fc.constantFrom(...refs),
      latch,
      denials,
      provenAt: maybe,
      doubtedAt: fc.option(time, { nil: null, freq: 1 }),
    });
    return fc.uniqueArray(
      row.map((one) => ({ ...one, refused: {}, revision: 1 })),
      { maxLength: 3, selector: (one) => `${one.ref.server}${one.ref.keyId}` },
    );
  }

  const questions = fc
    .record({
      atPrimary: links(ref, aRef({ server: 'sql-other' }), neighbour),
      atStandby: links(standby, standbysNeighbour),
      outageSince: maybe,
      now: time,
    })
    .map(({ atPrimary, atStandby, outageSince, now }) =>
      aQuestion({ now, primaryPicture: aPicture(atPrimary, { outageSince }), standbyPicture: aPicture(atStandby) }),
    );
  const soundOrNot = fc.oneof(fc.constant(aQuestion()), questions);

  test('F4: one more denial, wherever it reaches from, never opens the gate, and a new one shuts it', () => {
    const reaches = fc.constantFrom('vault', 'identity', 'key');
    fc.assert(
      fc.property(soundOrNot, reaches, time, (question, reach, when) => {
        const more = anUntried(aRef({ server: 'sql-third' }), { denials: { [reach]: when } });
        const { primaryPicture } = question;
        const answer = ask({ ...question, primaryPicture: { ...primaryPicture, links: [...primaryPicture.links, more] } });
        if (!ask(question).open) expect(answer.open).toBe(false);
        const proofs = primaryPicture.links.map((link) => link.provenAt ?? -Infinity);
        if (when >= Math.max(...proofs) || question.now - when < 10 * minute) expect(answer.open).toBe(false);
      }),
    );
  });

  test('F3: without a proof in either picture nothing opens', () => {
    fc.assert(
      fc.property(soundOrNot, fc.constantFrom('primaryPicture', 'standbyPicture'), (question, which) => {
        const bare = { ...question[which], links: question[which].links.map((link) => ({ ...link, provenAt: null })) };
        expect(ask({ ...question, [which]: bare }).open).toBe(false);
      }),
    );
  });

  test('the order of rows says nothing', () => {
    fc.assert(
      fc.property(soundOrNot, (question) => {
        const turned = { ...question.primaryPicture, links: question.primaryPicture.links.toReversed() };
        expect(ask({ ...question, primaryPicture: turned })).toEqual(ask(question));
      }),
    );
  });
});
