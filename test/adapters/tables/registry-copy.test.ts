import { describe, expect, test } from 'vitest';
import { createRegistryCopy } from '../../../src/adapters/tables/registry-copy.ts';
import { aRegisteredWith } from '../../support/builders.ts';

const before = { ...aRegisteredWith(), revision: 1 };
const changed = { ...before, revision: 2 };
const { name } = before.server;

describe('a read that was begun during a change and saw what was there before it', () => {
  test('does not keep the change out of the copy', () => {
    const copy = createRegistryCopy();
    const [change, read] = [copy.begin(), copy.begin()];
    copy.keepServer(name, read, before);
    copy.keepServer(name, change, changed);
    expect(copy.server(name)).toBe(changed);
  });

  test('does not undo it', () => {
    const copy = createRegistryCopy();
    const [change, read] = [copy.begin(), copy.begin()];
    copy.keepServer(name, change, changed);
    copy.keepServer(name, read, before);
    expect(copy.server(name)).toBe(changed);
  });
});

test('of two registrations, and of a removal, the one that was asked for later is kept', () => {
  const copy = createRegistryCopy();
  const [first, second, third] = [copy.begin(), copy.begin(), copy.begin()];
  const anew = { ...before, incarnation: 'another', revision: 1 };
  copy.keepServer(name, third, anew);
  copy.keepServer(name, first, changed);
  copy.keepServer(name, second, undefined);
  expect(copy.server(name)).toBe(anew);
  copy.keepServer(name, copy.begin(), undefined);
  copy.keepServer(name, third, anew);
  expect(copy.server(name)).toBeUndefined();
});
