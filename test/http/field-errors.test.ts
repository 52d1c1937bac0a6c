import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { fieldErrors } from '../../src/http/field-errors.ts';

test('of a hostile request twenty wrong fields are told, and no more of them are looked at', () => {
  let looked = 0;
  const names = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
  const keys = new Proxy(names, {
    get(target, name, receiver): unknown {
      if (typeof name === 'string' && /^\d+$/.test(name)) looked += 1;
      return Reflect.get(target, name, receiver);
    },
  });
  const errors = fieldErrors([{ code: 'unrecognized_keys', keys, path: [], message: '' }], {}, 'body');
  expect(errors.map(({ field }) => field)).toEqual(names.slice(0, 20));
  expect(looked).toBe(20);
});

test('a value that breaks two rules with the same words is told once', () => {
  const input = { a: '' };
  const form = z.object({ a: z.string().check(z.minLength(4, 'must be four letters'), z.regex(/^\w{4}$/, 'must be four letters')) });
  const issues = z.safeParse(form, input).error?.issues ?? [];
  expect(issues).toHaveLength(2);
  expect(fieldErrors(issues, input, 'body')).toEqual([{ field: 'a', detail: 'must be four letters' }]);
});
