import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Thumbprint } from '../../src/domain/key.ts';
import { groupByThumbprint, protectorGroup, type Link } from '../../src/domain/server.ts';
import { replaceProtector, withAdditional, withoutGroup } from '../../src/policy/links.ts';
import { at, hour, minute, noon } from '../support/builders.ts';
import { aLink, aRegistered, keyId, thumbprint } from '../support/stored-values.ts';

/** A key with material `letter` in a vault, as it comes from its proof: of no role yet that counts, and of no time. */
function key(letter: string, vault: string, changes: Partial<Link> = {}): Link {
  const version = letter.toLowerCase().repeat(32);
  return aLink({
    keyId: keyId(vault, version),
    vault,
    role: 'additional',
    thumbprint: thumbprint(letter),
    protectorFrom: null,
    protectorTo: null,
    linkedAt: noon,
    ...changes,
  });
}

function standbyOf(primary: Link, vault: string, rank = 0): Link {
  return key(primary.thumbprint.charAt(0), vault, { role: 'standby', standbyOf: primary.keyId, rank });
}

const a = key('A', 'kv-west');
const aNorth = standbyOf(a, 'kv-north');
const aSouth = standbyOf(a, 'kv-south', 1);
const b = key('B', 'kv-west');
const bNorth = standbyOf(b, 'kv-north');
const protectorA: Link = { ...a, role: 'protector', protectorFrom: noon };

describe('K5: a new protector', () => {
  test('is the first', () => {
    expect(replaceProtector([], a, [aNorth], noon)).toEqual([protectorA, aNorth]);
  });

  test('of new material: the former stays as additional with its span and its standbys', () => {
    expect(replaceProtector([protectorA, aNorth, aSouth], b, [bNorth], at(hour))).toEqual([
      { ...b, role: 'protector', protectorFrom: at(hour), protectorTo: null },
      bNorth,
      { ...a, role: 'additional', protectorFrom: noon, protectorTo: at(hour) },
      aNorth,
      aSouth,
    ]);
  });

  test('a third one leaves the first as it was retired', () => {
    const second = replaceProtector([protectorA, aNorth], b, [bNorth], at(hour));
    const c = key('C', 'kv-west');
    const third = replaceProtector(second, c, [], at(2 * hour));
    expect(third).toContainEqual({ ...a, role: 'additional', protectorFrom: noon, protectorTo: at(hour) });
    expect(third).toContainEqual({ ...b, role: 'additional', protectorFrom: at(hour), protectorTo: at(2 * hour) });
    expect(third).toEqual(expect.arrayContaining([aNorth, bNorth]));
  });

  test('the same key again with other standbys: they take the place of the old, and the span goes on', () => {
    expect(replaceProtector([protectorA, aNorth], a, [aSouth], at(hour))).toEqual([protectorA, aSouth]);
    expect(replaceProtector([protectorA, aNorth, aSouth], a, [], at(hour))).toEqual([protectorA]);
  });

  test('the same key again in another order of standbys', () => {
    const turned = [
      { ...aSouth, rank: 0 },
      { ...aNorth, rank: 1 },
    ];
    expect(replaceProtector([protectorA, aNorth, aSouth], a, turned, at(hour))).toEqual([protectorA, ...turned]);
  });

  test('a former protector again: its span reaches back to when it first was', () => {
    const rotated = replaceProtector([protectorA, aNorth], b, [bNorth], at(hour));
    expect(replaceProtector(rotated, a, [aSouth], at(2 * hour))).toEqual([
      protectorA,
      aSouth,
      { ...b, role: 'additional', protectorFrom: at(hour), protectorTo: at(2 * hour) },
      bNorth,
    ]);
  });

  test('an additional key that never was the protector begins its span', () => {
    const links = replaceProtector([protectorA, b, bNorth], b, [bNorth], at(hour));
    expect(links[0]).toEqual({ ...b, role: 'protector', protectorFrom: at(hour), protectorTo: null });
    expect(links).toHaveLength(3);
  });
});

describe('K1, K5: the same material with the roles of its vaults swapped', () => {
  const north = key('A', 'kv-north');
  const west = standbyOf(north, 'kv-west');

  test('the former protector becomes the standby and keeps the time in which it was the protector', () => {
    expect(replaceProtector([protectorA, aNorth], north, [west], at(hour))).toEqual([
      { ...north, role: 'protector', protectorFrom: at(hour), protectorTo: null },
      { ...west, protectorFrom: noon, protectorTo: at(hour) },
    ]);
  });

  test('a third vault goes to the new primary: a standby has no standby', () => {
    const links = replaceProtector([protectorA, aNorth, aSouth], north, [west], at(hour));
    expect(links).toContainEqual({ ...aSouth, standbyOf: north.keyId });
    expect(protectorGroup(aRegistered('sql-demo', [], links))?.standbys.map(({ vault }) => vault)).toEqual(['kv-west', 'kv-south']);
  });

  test('swapped and swapped back, the span reaches back to the first time', () => {
    const swapped = replaceProtector([protectorA, aNorth], north, [west], at(hour));
    const back = replaceProtector(swapped, a, [aNorth], at(2 * hour));
    expect(back).toEqual([protectorA, { ...aNorth, protectorFrom: at(hour), protectorTo: at(2 * hour) }]);
  });

  test('a standby alone as protector: the former stays as additional, its other standbys stay with it', () => {
    const links = replaceProtector([protectorA, aNorth, aSouth], north, [], at(hour));
    expect(links).toEqual([
      { ...north, role: 'protector', protectorFrom: at(hour), protectorTo: null },
      { ...a, role: 'additional', protectorFrom: noon, protectorTo: at(hour) },
      aSouth,
    ]);
    expect(groupByThumbprint(aRegistered('sql-demo', [], links), a.thumbprint)?.primary.vault).toBe('kv-north');
  });
});

describe('K1, K5: whatever an operator sets, in whatever order', () => {
  const letters = fc.constantFrom('A', 'B', 'C');
  const vaults = fc.constantFrom('kv-west', 'kv-north', 'kv-south', 'kv-east');
  const settings = fc.array(
    fc.record({ letter: letters, vaults: fc.uniqueArray(vaults, { minLength: 1, maxLength: 3 }), ms: fc.integer({ min: 0, max: hour }) }),
    { minLength: 1, maxLength: 7 },
  );

  function history(script: readonly { letter: string; vaults: readonly string[]; ms: number }[]): readonly (readonly Link[])[] {
    const states: (readonly Link[])[] = [];
    let now = 0;
    let links: readonly Link[] = [];
    for (const {
      letter,
      vaults: [first, ...rest],
      ms,
    } of script) {
      now += ms;
      const primary = key(letter, first!);
      const standbys = rest.map((vault, rank) => standbyOf(primary, vault, rank));
      links = replaceProtector(links, primary, standbys, at(now));
      states.push(links);
    }
    return states;
  }

  function materials(links: readonly Link[]): ReadonlySet<Thumbprint> {
    return new Set(links.filter((link) => link.role !== 'standby').map((link) => link.thumbprint));
  }

  test('K5: nothing that a DEK may be wrapped with disappears', () => {
    fc.assert(
      fc.property(settings, (script) => {
        const used = new Set<string>();
        for (const [i, links] of history(script).entries()) {
          used.add(thumbprint(script[i]!.letter));
          expect(materials(links)).toEqual(used);
        }
      }),
    );
  });

  test('K1: one protector, the one that was set; each standby has a primary of its material; a key id is linked once', () => {
    fc.assert(
      fc.property(settings, (script) => {
        for (const [i, links] of history(script).entries()) {
          const { letter, vaults } = script[i]!;
          expect(links.filter((link) => link.role === 'protector').map((link) => link.keyId)).toEqual([key(letter, vaults[0]!).keyId]);
          expect(new Set(links.map((link) => link.keyId)).size).toBe(links.length);
          for (const link of links.filter((one) => one.standbyOf !== null)) {
            const primary = links.find((one) => one.keyId === link.standbyOf);
            expect(link.role).toBe('standby');
            expect(primary?.role).not.toBe('standby');
            expect(primary?.thumbprint).toBe(link.thumbprint);
          }
        }
      }),
    );
  });

  test('K5: a key keeps the time in which it was the protector as long as it is linked, whatever its role', () => {
    fc.assert(
      fc.property(settings, (script) => {
        let before: readonly Link[] = [];
        for (const links of history(script)) {
          for (const link of links) {
            const since = before.find((one) => one.keyId === link.keyId)?.protectorFrom ?? null;
            if (since !== null) expect(link.protectorFrom).toBe(since);
            expect(link.protectorTo === null).toBe(link.role === 'protector' || link.protectorFrom === null);
          }
          before = links;
        }
      }),
    );
  });
});

describe('K5: additional keys', () => {
  const links = [protectorA, aNorth];

  test('one more with its standbys; its span is what the operator says', () => {
    const told = { ...b, role: 'protector', protectorFrom: at(-hour), protectorTo: at(-minute) } as const;
    expect(withAdditional(links, told, [bNorth])).toEqual([...links, { ...told, role: 'additional' }, bNorth]);
  });

  test('one is dropped with its standbys and nothing else', () => {
    expect(withoutGroup(withAdditional(links, b, [bNorth]), b.thumbprint)).toEqual(links);
    expect(withoutGroup(links, b.thumbprint)).toEqual(links);
  });
});
