import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change, LinkAccess, LinkChange } from '../../src/domain/access.ts';
import type { Reach } from '../../src/domain/fault.ts';
import type { Instant } from '../../src/domain/time.ts';
import { restamped, unlinked } from '../../src/policy/access-upkeep.ts';
import {
  accessDoubted,
  newerProof,
  operationAllowed,
  operationRefused,
  otherDenied,
  unwrapDenied,
  unwrapSucceeded,
} from '../../src/policy/denial.ts';
import { aDenial, aLatch, anUntried, at, denialRules, hour, minute, noon, second } from '../support/builders.ts';
import { aRef, keyId } from '../support/stored-values.ts';

const ref = aRef();

function deny(stored: LinkAccess | undefined, changes: Parameters<typeof aDenial>[0] = {}): Change<LinkAccess> {
  return unwrapDenied(stored, ref, aDenial(changes), denialRules);
}

function succeed(stored: LinkAccess | undefined, sentAt: Instant, known: string | null = null): Change<LinkAccess> {
  return unwrapSucceeded(stored, ref, { sentAt, known });
}

/** What is stored after the change. */
function after(stored: LinkAccess | undefined, change: Change<LinkAccess>): LinkAccess | undefined {
  return change === null ? stored : change.next;
}

function eventTypes(change: Change<LinkAccess>): readonly string[] {
  return change === null ? [] : change.events.map(({ type }) => type);
}

describe('F4: a denial of unwrap sets the latch', () => {
  test('at a link of which nothing was known', () => {
    expect(deny(undefined)).toEqual({
      next: anUntried(ref, { latch: aLatch(), denials: { identity: noon }, revision: 1 }),
      events: [
        {
          id: 'suspected-denial-1~1',
          type: 'keybroker.latch.suspected',
          subject: 'sql-demo',
          time: noon,
          data: {
            keyId: ref.keyId,
            vault: 'kv-west',
            class: 'revoked',
            code: 'ForbiddenByPolicy',
            witnesses: 1,
            since: '2026-11-22T12:00:00.000Z',
          },
        },
      ],
    });
  });

  test('at a link with a proof, which stays known: the denial voids it, it does not unmake it', () => {
    const known = anUntried(ref, { provenAt: at(-minute), doubtedAt: at(-hour), denials: { key: at(-hour), identity: at(-hour) } });
    expect(deny(known)?.next).toEqual({
      ...known,
      latch: aLatch(),
      denials: { key: at(-hour), identity: noon },
      revision: 1,
    });
  });

  test('even if it was received before the proof was sent: order does not matter', () => {
    expect(deny(anUntried(ref, { provenAt: at(minute) }))?.next.latch).toEqual(aLatch());
  });

  test.each<[Reach]>([['vault'], ['key'], ['identity']])('the denial is kept by its reach: %s', (reach) => {
    expect(deny(undefined, { reach })?.next.denials).toEqual({ [reach]: noon });
  });

  test('of two denials of one reach the newest is kept, in whatever order they are written', () => {
    const denied = deny(undefined, { receivedAt: at(minute) })?.next;
    expect(deny(denied, { id: 'denial-2', receivedAt: noon })?.next.denials).toEqual({ identity: at(minute) });
    expect(deny(denied, { id: 'denial-2', receivedAt: at(hour) })?.next.denials).toEqual({ identity: at(hour) });
  });

  test('the same denial written again changes nothing', () => {
    expect(deny(deny(undefined)?.next)).toBeNull();
  });
});

describe('F6: only the witness, and only 30 s after the first denial, confirms', () => {
  const suspected = anUntried(ref, { latch: aLatch() });

  test.each([
    [29_999, true, 'suspected'],
    [30_000, true, 'confirmed'],
    [30_001, true, 'confirmed'],
    [30_000, false, 'suspected'],
    [10 * minute, true, 'confirmed'],
    [10 * minute, false, 'suspected'],
    [-minute, true, 'suspected'],
  ] as const)('a denial %i ms after the first, witness %s: %s', (ms, witness, status) => {
    const change = deny(suspected, { id: 'denial-2', receivedAt: at(ms), witness });
    expect(change?.next.latch).toMatchObject({ status, firstDenialAt: noon, witnesses: 2 });
    expect(eventTypes(change)).toEqual(status === 'confirmed' ? ['keybroker.latch.confirmed'] : []);
  });

  test('thirty seconds count from the first denial, not from the newest', () => {
    const latch = aLatch({ newestDenialAt: at(29 * second), witnesses: 7 });
    expect(deny(anUntried(ref, { latch }), { id: 'denial-8', receivedAt: at(31 * second), witness: true })?.next.latch).toEqual({
      ...latch,
      status: 'confirmed',
      newestDenialAt: at(31 * second),
      witnesses: 8,
      generation: 'denial-8~1',
    });
  });

  test('a witness that is the first denial confirms nothing', () => {
    expect(deny(undefined, { witness: true })?.next.latch?.status).toBe('suspected');
  });

  test('what is confirmed stays confirmed, whatever comes and however late', () => {
    for (const ms of [-hour, minute, 20 * minute, 100 * hour]) {
      const change = deny(anUntried(ref, { latch: aLatch({ status: 'confirmed' }) }), { id: 'denial-2', receivedAt: at(ms) });
      expect(change?.next.latch).toMatchObject({ status: 'confirmed', firstDenialAt: noon, witnesses: 2 });
      expect(change?.events).toEqual([]);
    }
  });

  test.each([
    [10 * minute, 'confirmed', noon, 2],
    [10 * minute + 1, 'suspected', at(10 * minute + 1), 1],
  ] as const)('a denial %i ms after an unconfirmed one: %s', (ms, status, firstDenialAt, witnesses) => {
    const change = deny(suspected, { id: 'denial-2', receivedAt: at(ms), witness: true });
    expect(change?.next.latch).toMatchObject({ status, firstDenialAt, newestDenialAt: at(ms), witnesses, generation: 'denial-2~1' });
    expect(eventTypes(change)).toEqual([`keybroker.latch.${status}`]);
  });

  test('ten minutes count from the newest denial: a row of them is one latch', () => {
    const latch = aLatch({ newestDenialAt: at(10 * minute), witnesses: 2 });
    expect(deny(anUntried(ref, { latch }), { id: 'denial-3', receivedAt: at(20 * minute) })?.next.latch).toMatchObject({
      firstDenialAt: noon,
      witnesses: 3,
    });
  });

  test.each([
    [minute, noon, 2],
    [minute + 1, at(-minute - 1), 1],
  ])(
    'a suspect first denied %i ms ahead of the clock, which was set back: the next denial is that of',
    (ahead, firstDenialAt, witnesses) => {
      const latch = aLatch({ firstDenialAt: noon, newestDenialAt: at(hour) });
      const change = deny(anUntried(ref, { latch }), { id: 'denial-2', receivedAt: at(-ahead), witness: true });
      expect(change?.next.latch).toMatchObject({ status: 'suspected', firstDenialAt, witnesses });
      const seen = { id: 'denial-3', receivedAt: at(30 * second - ahead), witness: true };
      expect(deny(change?.next, seen)?.next.latch?.status).toBe(witnesses === 1 ? 'confirmed' : 'suspected');
    },
  );

  test('a confirmed latch whose clock was set back stays confirmed', () => {
    const latch = aLatch({ status: 'confirmed', firstDenialAt: at(hour), newestDenialAt: at(hour) });
    expect(deny(anUntried(ref, { latch }), { id: 'denial-2' })?.next.latch).toMatchObject({ status: 'confirmed', firstDenialAt: at(hour) });
  });

  test('a denial that was kept while the store was away makes the first denial no older: no clock was set back', () => {
    const change = deny(suspected, { id: 'denial-0', receivedAt: at(-8 * hour), writtenAt: at(second) });
    expect(change?.next.latch).toMatchObject({ status: 'suspected', firstDenialAt: noon, newestDenialAt: noon, witnesses: 2 });
  });

  test('a denial that is stored late leaves class and code to the newer one', () => {
    const change = deny(suspected, { id: 'denial-0', class: 'keyGone', code: 'KeyNotFound', reach: 'key', receivedAt: at(-second) });
    expect(change?.next.latch).toMatchObject({ class: 'revoked', code: 'ForbiddenByPolicy', newestDenialAt: noon });
  });

  test.each([
    [minute, 'ForbiddenByPolicy', minute],
    [minute + 1, 'KeyNotFound', 0],
  ])('a newest denial %i ms ahead, of a clock that was set back since, is no newer than the next', (ahead, code, newest) => {
    const latch = aLatch({ status: 'confirmed', newestDenialAt: at(ahead) });
    const change = deny(anUntried(ref, { latch }), { id: 'denial-2', class: 'keyGone', code: 'KeyNotFound', reach: 'key' });
    expect(change?.next.latch).toMatchObject({ status: 'confirmed', code, newestDenialAt: at(newest) });
  });

  test('class and code are those of the newest denial', () => {
    const change = deny(suspected, { id: 'denial-2', class: 'keyGone', code: 'KeyNotFound', reach: 'key', receivedAt: at(second) });
    expect(change?.next.latch).toMatchObject({ class: 'keyGone', code: 'KeyNotFound' });
  });
});

describe('F5: only an unwrap sent by one who knew the newest denial releases', () => {
  const denials = { identity: noon };
  const latched = anUntried(ref, { latch: aLatch(), denials });

  test('it ends the latch, leaves the denial, and is a proof', () => {
    expect(succeed(latched, at(second), 'denial-1~1')).toEqual({
      next: anUntried(ref, { denials, provenAt: at(second), revision: 1 }),
      events: [
        {
          id: 'released-denial-1~1',
          type: 'keybroker.latch.released',
          subject: 'sql-demo',
          time: at(second),
          data: { keyId: ref.keyId, vault: 'kv-west', class: 'revoked' },
        },
      ],
    });
  });

  test('a confirmed latch is released alike', () => {
    expect(succeed(anUntried(ref, { latch: aLatch({ status: 'confirmed' }) }), at(hour), 'denial-1~1')?.next.latch).toBeNull();
  });

  test.each([
    ['one who knew of no latch', null],
    ['one who knew an older latch', 'denial-0'],
  ])('an old success releases nothing and proves nothing: %s', (_name, known) => {
    expect(succeed(latched, at(hour), known)).toBeNull();
    expect(succeed(latched, at(-hour), known)).toBeNull();
  });

  test('each denial makes a new generation: who knew the first releases nothing after the second', () => {
    const again = deny(latched, { id: 'denial-2', receivedAt: at(second) })?.next;
    expect(succeed(again, at(2 * second), 'denial-1~1')).toBeNull();
    expect(succeed(again, at(2 * second), again?.latch?.generation)?.next.latch).toBeNull();
  });

  test.each([0, second])('a denial written again after another, met %i ms later, does not bring its generation back', (ms) => {
    const newer = deny(latched, { id: 'denial-2', receivedAt: at(ms) })?.next;
    const known = newer?.latch?.generation;
    const repeated = deny(newer)?.next;
    expect(repeated?.latch).toMatchObject({ newestDenialAt: at(ms), witnesses: 3 });
    expect(succeed(repeated, at(minute), 'denial-1')).toBeNull();
    expect(succeed(repeated, at(minute), known)).toBeNull();
    expect(succeed(repeated, at(minute), repeated?.latch?.generation)?.next.latch).toBeNull();
  });

  test('nor does one written again after a denial by a clock that was set back', () => {
    const ahead = deny(undefined, { receivedAt: at(hour) })?.next;
    const back = deny(ahead, { id: 'denial-2', receivedAt: noon })?.next;
    const repeated = deny(back, { receivedAt: at(hour), writtenAt: noon })?.next;
    for (const known of ['denial-1~1', back?.latch?.generation ?? null]) expect(succeed(repeated, at(2 * hour), known)).toBeNull();
    expect(succeed(repeated, at(2 * hour), repeated?.latch?.generation)?.next.latch).toBeNull();
  });

  test('a released latch can be set again, by a new first denial', () => {
    const released = succeed(latched, at(minute), 'denial-1')?.next;
    const change = deny(released, { id: 'denial-2', receivedAt: at(2 * minute), witness: true });
    expect(change?.next.latch).toEqual(aLatch({ generation: 'denial-2~1', firstDenialAt: at(2 * minute), newestDenialAt: at(2 * minute) }));
    expect(eventTypes(change)).toEqual(['keybroker.latch.suspected']);
  });

  test('no wrap releases: what is told of wrap leaves the latch as it is', () => {
    const refused = after(latched, operationRefused(latched, ref, { operation: 'wrapKey', since: noon, finding: 'WrapDenied' }));
    expect(refused?.latch).toEqual(aLatch());
    expect(operationAllowed(refused, 'wrapKey', at(minute))?.next.latch).toEqual(aLatch());
    expect(operationAllowed(latched, 'wrapKey', at(minute))).toBeNull();
  });

  test('no doubt and no denial of another operation touches the latch', () => {
    expect(accessDoubted(latched, ref, at(hour))?.next.latch).toEqual(aLatch());
    expect(otherDenied(latched, ref, aDenial({ id: 'denial-2', receivedAt: at(hour) }))?.next.latch).toEqual(aLatch());
  });
});

describe('F5: whatever the order of denials and answers', () => {
  // An unwrap is sent at one step, knowing what is stored then, and answered at a later one; denials are stored, once or again, in between.
  const ms = fc.integer({ min: -minute, max: 20 * minute });
  const which = fc.nat({ max: 5 });
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('deny' as const), ms, witness: fc.boolean() }),
      fc.record({ kind: fc.constant('repeat' as const), which }),
      fc.record({ kind: fc.constant('send' as const), ms }),
      fc.record({ kind: fc.constant('answer' as const), which }),
    ),
    { maxLength: 14 },
  );
  interface Sent {
    readonly sentAt: Instant;
    readonly known: string | null;
    /** How many denials were stored when it was sent. */
    readonly writes: number;
  }
  type Step = typeof steps extends fc.Arbitrary<(infer One)[]> ? One : never;

  class Course {
    stored: LinkAccess | undefined;
    readonly #denials: ReturnType<typeof aDenial>[] = [];
    readonly #sent: Sent[] = [];
    /** How many denials were stored, each repetition that changed something counted again. */
    #writes = 0;

    /** @returns whether the step answers an unwrap that was sent after all that is stored of denials, by one who knew of a latch. */
    take(step: Step): boolean {
      if (step.kind === 'send')
        this.#sent.push({ sentAt: at(step.ms), known: this.stored?.latch?.generation ?? null, writes: this.#writes });
      if (step.kind === 'answer') return this.#answer(this.#sent[step.which]);
      if (step.kind === 'repeat') this.#deny(this.#denials[step.which]);
      if (step.kind === 'deny') {
        this.#denials.push(aDenial({ id: `denial-${this.#denials.length}`, receivedAt: at(step.ms), witness: step.witness }));
        this.#deny(this.#denials.at(-1));
      }
      return false;
    }

    #deny(denial: ReturnType<typeof aDenial> | undefined): void {
      const change = denial === undefined ? null : deny(this.stored, denial);
      if (change !== null) this.#writes += 1;
      this.stored = after(this.stored, change);
    }

    #answer(late: Sent | undefined): boolean {
      if (late === undefined) return false;
      this.stored = after(this.stored, succeed(this.stored, late.sentAt, late.known));
      return late.writes === this.#writes && late.known !== null;
    }
  }

  test('a latch ends by an unwrap that was sent after the newest denial was stored, and by nothing else', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const course = new Course();
        for (const step of script) {
          const latched = (course.stored?.latch ?? null) !== null;
          const mayRelease = course.take(step);
          if (latched) expect((course.stored?.latch ?? null) === null).toBe(mayRelease);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('of two sights of a row the newer has the higher revision', () => {
  const known = anUntried(ref, {
    latch: aLatch(),
    denials: { identity: noon },
    refused: { wrapKey: { since: noon, finding: 'WrapDenied' } },
    revision: 7,
  });

  test.each<[string, LinkChange]>([
    ['a denial of unwrap', deny(known, { id: 'denial-2', receivedAt: at(1) })],
    ['a denial of another operation', otherDenied(known, ref, aDenial({ id: 'denial-2' }))],
    ['a doubt', accessDoubted(known, ref, noon)],
    ['a refused operation', operationRefused(known, ref, { operation: 'get', since: noon, finding: 'GetDenied' })],
    ['one that is allowed again', operationAllowed(known, 'wrapKey', at(1))],
    ['a release', succeed(known, at(1), 'denial-1~1')],
    ['a proof', succeed({ ...known, latch: null }, at(1))],
    ['a link that is dropped', unlinked(known)],
    ['a time that is put right', restamped({ ...known, doubtedAt: at(hour) }, noon, [])],
    ['another identity', accessDoubted(known, aRef({ identity: 'identity-b' }), noon)],
  ])('%s makes it one more', (_name, change) => {
    expect(change?.next?.revision).toBe(8);
  });
});

describe('F3: proofs', () => {
  test('an unwrap at a link of which nothing is known proves it', () => {
    expect(succeed(undefined, noon)).toEqual({ next: anUntried(ref, { provenAt: noon, revision: 1 }), events: [] });
  });

  test('a late answer does not make the proof older, and writes nothing', () => {
    const proven = anUntried(ref, { provenAt: noon });
    expect(succeed(proven, noon)).toBeNull();
    expect(succeed(proven, at(-30 * second))).toBeNull();
    expect(succeed(proven, at(1))?.next.provenAt).toBe(at(1));
  });

  test('a success that knew a latch which somebody else released is a proof and tells no event', () => {
    expect(succeed(anUntried(ref), noon, 'denial-1')).toEqual({ next: anUntried(ref, { provenAt: noon, revision: 1 }), events: [] });
  });

  test.each([
    ['nothing known', null, 0, 0],
    ['nothing known', undefined, 0, 0],
    ['older', -hour, 0, 0],
    ['equal', 0, 0, 0],
    ['newer, by a late answer', 1, 0, 1],
    ['newer by a minute', minute, 0, minute],
    ['newer by more: its clock was set back since', minute + 1, 0, 0],
    ['of next week', 168 * hour, 0, 0],
  ])('newerProof: %s', (_name, known, sent, newest) => {
    expect(newerProof(typeof known === 'number' ? at(known) : known, at(sent))).toBe(at(newest));
  });
});

test('F4: of two refusals of an operation the later one counts, whatever they found', () => {
  const known = anUntried(ref, { refused: { wrapKey: { since: noon, finding: 'WrapDenied' } } });
  expect(operationRefused(known, ref, { operation: 'wrapKey', since: at(-second), finding: 'KeyExpired' })).toBeNull();
  const later = { since: at(second), finding: 'KeyExpired' } as const;
  expect(operationRefused(known, ref, { operation: 'wrapKey', ...later })?.next.refused).toEqual({ wrapKey: later });
});

describe('F1: doubt', () => {
  test('the newest doubt is kept; proof, latch and denials stay', () => {
    const known = anUntried(ref, { provenAt: at(-minute), doubtedAt: noon, latch: aLatch(), denials: { key: noon } });
    expect(accessDoubted(known, ref, at(second))).toEqual({ next: { ...known, doubtedAt: at(second), revision: 1 }, events: [] });
    expect(accessDoubted(known, ref, at(-second))?.next).toEqual({ ...known, revision: 1 });
    expect(accessDoubted(undefined, ref, noon)?.next).toEqual(anUntried(ref, { doubtedAt: noon, revision: 1 }));
  });
});

describe('F4, C2: operations other than unwrap', () => {
  const refusal = { since: noon, finding: 'WrapDenied' } as const;

  test('a denial of wrap is kept by its reach and sets no latch: only the canary does', () => {
    expect(otherDenied(undefined, ref, aDenial({ reach: 'key' }))).toEqual({
      next: anUntried(ref, { denials: { key: noon }, revision: 1 }),
      events: [],
    });
    const known = anUntried(ref, { denials: { key: at(minute), vault: noon } });
    expect(otherDenied(known, ref, aDenial({ reach: 'key' }))?.next.denials).toEqual({ key: at(minute), vault: noon });
  });

  test.each(['wrapKey', 'get'] as const)(
    'a refused %s is remembered from its newest refusal until one sent after it succeeds',
    (operation) => {
      const refused = operationRefused(undefined, ref, { operation, ...refusal });
      expect(refused).toEqual({ next: anUntried(ref, { refused: { [operation]: refusal }, revision: 1 }), events: [] });
      expect(operationRefused(refused?.next, ref, { operation, ...refusal })).toBeNull();
      const again = operationRefused(refused?.next, ref, { operation, ...refusal, since: at(minute) });
      expect(again?.next.refused[operation]?.since).toBe(at(minute));
      expect(operationAllowed(again?.next, operation, at(minute))).toBeNull();
      expect(operationAllowed(refused?.next, operation, at(1))).toEqual({ next: anUntried(ref, { revision: 2 }), events: [] });
    },
  );

  test.each(['wrapKey', 'get'] as const)('a late answer to a %s that was sent before the refusal ends nothing', (operation) => {
    const refused = anUntried(ref, { refused: { [operation]: refusal } });
    expect([-hour, -1, 0].map((ms) => operationAllowed(refused, operation, at(ms)))).toEqual([null, null, null]);
  });

  describe('P2: what traffic meets is told in an event, once, and so is its end', () => {
    const found = {
      code: 'WrapDenied',
      severity: 'error',
      server: ref.server,
      keyId: ref.keyId,
      vault: ref.vault,
      detail: 'wrap: refused',
      action: 'Give the right to wrap.',
    } as const;
    const met = operationRefused(undefined, ref, { operation: 'wrapKey', ...refusal, found });

    test('the first refusal, with the finding and what to do', () => {
      expect(met?.events).toMatchObject([
        { type: 'keybroker.audit.finding', subject: ref.server, time: noon, data: { ...found, change: 'new' } },
      ]);
      expect(met?.next.refused.wrapKey).toEqual({ ...refusal, told: true });
    });

    test('not the next one of the same kind, which still counts as told', () => {
      const again = operationRefused(met?.next, ref, { operation: 'wrapKey', ...refusal, since: at(minute), found });
      expect(again).toMatchObject({ events: [], next: { refused: { wrapKey: { since: at(minute), told: true } } } });
      const byAudit = operationRefused(met?.next, ref, { operation: 'wrapKey', ...refusal, since: at(minute) });
      expect(byAudit).toMatchObject({ events: [], next: { refused: { wrapKey: { told: true } } } });
    });

    test('its end too where another finding takes its place', () => {
      const expired = operationRefused(met?.next, ref, { operation: 'wrapKey', since: at(minute), finding: 'KeyExpired' });
      expect(expired?.events).toMatchObject([{ data: { code: 'WrapDenied', change: 'resolved' } }]);
      expect(operationAllowed(expired?.next, 'wrapKey', at(2 * minute))?.events).toEqual([]);
    });

    test('its end, under another id; of one that nobody was told of, nothing', () => {
      const ended = operationAllowed(met?.next, 'wrapKey', at(minute));
      expect(ended?.events).toMatchObject([{ type: 'keybroker.audit.finding', data: { code: 'WrapDenied', change: 'resolved' } }]);
      expect(ended?.events[0]?.id).not.toBe(met?.events[0]?.id);
      const untold = operationRefused(undefined, ref, { operation: 'wrapKey', ...refusal });
      expect(operationAllowed(untold?.next, 'wrapKey', at(minute))?.events).toEqual([]);
    });
  });

  test('another finding takes the place of the first', () => {
    const expired = { since: at(minute), finding: 'KeyExpired' } as const;
    const known = anUntried(ref, { refused: { wrapKey: refusal, get: { since: noon, finding: 'GetDenied' } } });
    expect(operationRefused(known, ref, { operation: 'wrapKey', ...expired })?.next.refused).toEqual({
      ...known.refused,
      wrapKey: expired,
    });
  });

  test('one that succeeds says nothing of the other', () => {
    const known = anUntried(ref, { refused: { wrapKey: refusal } });
    expect(operationAllowed(known, 'get', at(minute))).toBeNull();
    const both = anUntried(ref, { refused: { wrapKey: refusal, get: { since: noon, finding: 'GetDenied' } } });
    expect(operationAllowed(both, 'get', at(minute))?.next).toEqual({ ...known, revision: 1 });
    expect(operationAllowed(undefined, 'wrapKey', at(minute))).toBeNull();
  });

  test('an unwrap that succeeds does not allow wrap again', () => {
    expect(succeed(anUntried(ref, { refused: { wrapKey: refusal } }), noon)?.next.refused).toEqual({ wrapKey: refusal });
  });
});

describe('F3, F4: a server that calls under another identity', () => {
  const other = aRef({ identity: 'identity-b' });
  const known = anUntried(ref, { provenAt: noon, doubtedAt: noon, latch: aLatch(), denials: { key: noon, vault: at(-hour) } });

  test('the proofs of the identity before count no longer; its latch and its doubts do', () => {
    const change = accessDoubted(known, other, at(minute));
    expect(change?.next).toEqual({ ...known, ref: other, provenAt: null, doubtedAt: at(minute), revision: 1 });
    expect(otherDenied(known, other, aDenial({ reach: 'key' }))?.next).toEqual({
      ...known,
      ref: other,
      provenAt: null,
      revision: 1,
    });
  });

  test('its first unwrap under the new identity releases the latch and is a proof of its own', () => {
    const change = unwrapSucceeded(known, other, { sentAt: at(-30 * second), known: 'denial-1~1' });
    expect(change?.next).toEqual({ ...known, ref: other, latch: null, provenAt: at(-30 * second), revision: 1 });
  });

  test.each([
    ['alone', {}, { vault: noon }],
    ['newer than one of the vault', { vault: at(-minute) }, { vault: noon }],
    ['older than one of the vault', { vault: at(minute) }, { vault: at(minute) }],
  ])('a denial of the identity before goes on reaching those who call by it, as one of the vault: %s', (_name, denials, kept) => {
    const denied = anUntried(ref, { denials: { ...denials, identity: noon } });
    expect(unwrapSucceeded(denied, other, { sentAt: at(hour), known: null })?.next.denials).toEqual(kept);
  });
});

test('events name the link that they tell of', () => {
  const there = aRef({ server: 'sql-other', keyId: keyId('kv-north'), vault: 'kv-north' });
  const change = unwrapDenied(undefined, there, aDenial(), denialRules);
  expect(change?.events).toMatchObject([{ subject: 'sql-other', data: { keyId: there.keyId, vault: 'kv-north' } }]);
});
