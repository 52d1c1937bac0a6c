import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LinkRef } from '../../src/domain/access.ts';
import type { Reach } from '../../src/domain/fault.ts';
import { newestDenialReaching, newestDoubt, newestProof } from '../../src/policy/denial.ts';
import { anUntried, aPicture, at, minute, noon } from '../support/builders.ts';
import { aRef, keyId } from '../support/stored-values.ts';

const asked = aRef({ identity: 'identity-a' });
const otherKey = keyId('kv-west', 'b'.repeat(32));

/** Links of one vault, by what they share with the one that is asked about. */
const relations = {
  'the same link': asked,
  'the same link under another identity': aRef({ identity: 'identity-b' }),
  'the same key and identity of another server': aRef({ server: 'sql-other', identity: 'identity-a' }),
  'the same key by another identity': aRef({ server: 'sql-other', identity: 'identity-b' }),
  'another key by the same identity': aRef({ server: 'sql-other', identity: 'identity-a', keyId: otherKey }),
  'another key of the same server and identity': aRef({ identity: 'identity-a', keyId: otherKey }),
  'another key by another identity': aRef({ server: 'sql-other', identity: 'identity-b', keyId: otherKey }),
  "another key by the broker's own identity": aRef({ server: 'sql-other', keyId: otherKey }),
} as const satisfies Record<string, LinkRef>;
type Relation = keyof typeof relations;

const reached: Readonly<Record<Relation, readonly Reach[]>> = {
  'the same link': ['vault', 'key', 'identity'],
  'the same link under another identity': ['vault', 'key', 'identity'],
  'the same key and identity of another server': ['vault', 'key', 'identity'],
  'the same key by another identity': ['vault', 'key'],
  'another key by the same identity': ['vault', 'identity'],
  'another key of the same server and identity': ['vault', 'identity'],
  'another key by another identity': ['vault'],
  "another key by the broker's own identity": ['vault'],
};

const cases = (Object.keys(relations) as Relation[]).flatMap((relation) =>
  (['vault', 'key', 'identity'] as const).map((reach): [Reach, Relation, boolean] => [reach, relation, reached[relation].includes(reach)]),
);

describe('F4: a denial reaches as far as its meaning', () => {
  test.each(cases)('a denial of reach %s at %s reaches the link: %s', (reach, relation, reaches) => {
    const picture = aPicture([anUntried(asked), anUntried(relations[relation], { denials: { [reach]: noon } })]);
    expect(newestDenialReaching(picture, asked)).toBe(reaches ? noon : null);
  });

  test("the broker's own identity is one identity", () => {
    const picture = aPicture([anUntried(aRef({ server: 'sql-other', keyId: otherKey }), { denials: { identity: noon } })]);
    expect(newestDenialReaching(picture, aRef())).toBe(noon);
    expect(newestDenialReaching(picture, asked)).toBeNull();
  });

  test('the newest of all that reach counts, wherever it stands', () => {
    const everywhere = fc.array(
      fc.record({
        relation: fc.constantFrom(...(Object.keys(relations) as Relation[])),
        reach: fc.constantFrom<Reach>('vault', 'key', 'identity'),
        ms: fc.integer({ min: -minute, max: minute }),
      }),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(everywhere, (denials) => {
        const links = denials.map(({ relation, reach, ms }) => anUntried(relations[relation], { denials: { [reach]: at(ms) } }));
        const times = denials.filter(({ relation, reach }) => reached[relation].includes(reach)).map(({ ms }) => at(ms));
        expect(newestDenialReaching(aPicture(links), asked)).toBe(times.length === 0 ? null : Math.max(...times));
      }),
    );
  });
});

const sameAccess: readonly Relation[] = ['the same link', 'the same key and identity of another server'];
const sameKey: readonly Relation[] = [...sameAccess, 'the same link under another identity', 'the same key by another identity'];

describe.each([
  ['F3: proofs are shared by links of the same key and identity', newestProof, 'provenAt', sameAccess],
  ['F1: doubts are shared by links of the same key', newestDoubt, 'doubtedAt', sameKey],
] as const)('%s, and by no other', (_name, newest, field, sharing) => {
  test.each(Object.keys(relations) as Relation[])('%s', (relation) => {
    const picture = aPicture([anUntried(relations[relation], { [field]: noon })]);
    expect(newest(picture, asked)).toBe(sharing.includes(relation) ? noon : null);
  });

  test('the newest counts, in whatever order they stand', () => {
    const [one, two] = [anUntried(relations[sharing[0]!], { [field]: noon }), anUntried(relations[sharing[1]!], { [field]: at(1) })];
    expect(newest(aPicture([one, two]), asked)).toBe(at(1));
    expect(newest(aPicture([two, one]), asked)).toBe(at(1));
    expect(newest(aPicture([]), asked)).toBeNull();
  });
});

describe('F3: a proof from the future', () => {
  const shared = relations['the same key and identity of another server'];

  test.each([
    [1, at(1)],
    [2, at(2)],
    [3, at(-minute)],
  ])('%i ms ahead, where 2 are allowed', (ms, newest) => {
    const picture = aPicture([anUntried(asked, { provenAt: at(-minute) }), anUntried(shared, { provenAt: at(ms) })]);
    expect(newestProof(picture, asked, at(2))).toBe(newest);
  });
});
