import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linkKey } from '../../src/domain/access.ts';
import { LinkMap } from '../../src/domain/link-map.ts';
import type { KeyId } from '../../src/domain/key.ts';

test('a map by link holds what a map by its name holds, whatever is set and removed', () => {
  const link = fc.record({
    server: fc.constantFrom('sql-1', 'sql-2', 'sql-1|a'),
    keyId: fc.constantFrom<KeyId[]>('a' as KeyId, 'b' as KeyId),
  });
  const step = fc.record({ link, value: fc.option(fc.nat(9)) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const subject = new LinkMap<number>();
      const model = new Map<string, number>();
      for (const { link: ref, value } of steps) {
        if (value === null) expect(subject.delete(ref)).toBe(model.delete(linkKey(ref)));
        else {
          subject.set(ref, value);
          model.set(linkKey(ref), value);
        }
        expect(subject.get(ref)).toBe(model.get(linkKey(ref)));
      }
      expect([...subject.values()].sort()).toEqual([...model.values()].sort());
    }),
  );
});
