import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Dek } from '../../src/domain/dek.ts';

const bytes = (): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => 65 + (i % 26));

describe('C4: a DEK shows nowhere', () => {
  test.each<[string, (dek: Dek) => string]>([
    // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- what a careless log line would do
    ['a template', (dek) => `${dek}`],
    ['a sum of strings', (dek) => 'dek: ' + String(dek)],
    ['JSON', (dek) => JSON.stringify({ dek })],
    ['an error', (dek) => inspect(new Error('no', { cause: dek }))],
    ['an error with it as a property', (dek) => inspect(Object.assign(new Error('no'), { dek }))],
    ['util.inspect', (dek) => inspect(dek)],
    ['util.inspect of what is hidden', (dek) => inspect({ dek: [dek] }, { showHidden: true, depth: 9, getters: true })],
    ['its own properties', (dek) => [...Object.entries(dek), ...Reflect.ownKeys(dek)].join()],
    ['a structured clone', (dek) => inspect(structuredClone(dek), { showHidden: true })],
  ])('in %s', (_name, show) => {
    const shown = show(new Dek(bytes()));
    for (const form of ['latin1', 'hex', 'base64', 'base64url'] as const) {
      const start = Buffer.from(bytes().subarray(0, 9)).toString(form);
      expect(shown).not.toContain(start);
    }
    expect(shown).not.toMatch(/65,\s*66/);
    expect(shown).not.toMatch(/41 42/);
  });

  test('what shows is that it is one', () => {
    expect([String(new Dek(bytes())), inspect(new Dek(bytes())), JSON.stringify(new Dek(bytes()))]).toEqual(['[DEK]', '[DEK]', '"[DEK]"']);
  });
});

describe('C4: DEK bytes are zeroed', () => {
  test('zero wipes the very bytes that were given and revealed', () => {
    const given = bytes();
    const dek = new Dek(given);
    const revealed = dek.reveal();
    expect(revealed).toEqual(bytes());
    dek.zero();
    expect(given).toEqual(new Uint8Array(32));
    expect(revealed).toEqual(new Uint8Array(32));
    expect(dek.reveal()).toEqual(new Uint8Array(32));
  });

  test('its length says nothing of its bytes and stays', () => {
    const dek = new Dek(bytes());
    dek.zero();
    expect(dek.length).toBe(32);
  });
});
