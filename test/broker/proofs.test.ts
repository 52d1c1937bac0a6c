import { describe, expect, test } from 'vitest';
import { createProofs } from '../../src/broker/proofs.ts';
import type { KeyId } from '../../src/domain/key.ts';
import { at, minute, noon, second } from '../support/builders.ts';
import { aRef, keyId } from '../support/stored-values.ts';

function numbered(i: number): ReturnType<typeof aRef> {
  return { ...aRef(), keyId: `${keyId()}${i}` as KeyId };
}

describe('F3: proofs that traffic gave', () => {
  test('are shared by links of one key and identity, and by no other', () => {
    const proofs = createProofs();
    proofs.note(aRef(), noon);
    expect(proofs.newest(aRef({ server: 'sql-other' }))).toBe(noon);
    expect(proofs.newest(aRef({ identity: 'identity-a' }))).toBeNull();
    expect(proofs.newest(numbered(1))).toBeNull();
  });

  test('the newest counts; a late answer makes it no older', () => {
    const proofs = createProofs();
    for (const ms of [0, 5 * second, 2 * second]) proofs.note(aRef(), at(ms));
    expect(proofs.newest(aRef())).toBe(at(5 * second));
  });

  test('one that a clock stamped which has been set back since gives way', () => {
    const proofs = createProofs();
    proofs.note(aRef(), at(minute + 1));
    proofs.note(aRef(), noon);
    expect(proofs.newest(aRef())).toBe(noon);
  });

  test('at most 50,000 are remembered, the first noted go first', () => {
    const proofs = createProofs();
    for (let i = 0; i <= 50_001; i++) proofs.note(numbered(i), noon);
    expect([0, 1, 2, 50_001].map((i) => proofs.newest(numbered(i)))).toEqual([null, null, noon, noon]);
  });

  test('a key that is in use all the time is not forgotten for one that was used once', () => {
    const proofs = createProofs();
    for (let i = 0; i < 50_000; i++) proofs.note(numbered(i), noon);
    proofs.note(numbered(0), at(second));
    proofs.note(numbered(50_000), at(second));
    expect(proofs.newest(numbered(0))).toBe(at(second));
  });
});
