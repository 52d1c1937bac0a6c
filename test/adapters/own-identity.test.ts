import { beforeEach, expect, test } from 'vitest';
import { fault } from '../../src/adapters/fault.ts';
import type { TokenAnswer } from '../../src/adapters/identity.ts';
import { createOwnIdentity } from '../../src/adapters/own-identity.ts';
import { virtualClock, type VirtualClock } from '../support/virtual-clock.ts';

const none: TokenAnswer = {
  ok: false,
  fault: fault('revoked', 'the identity does not exist', { code: 'IDENTITY_400', reach: 'identity' }),
};
const token: TokenAnswer = { ok: true, token: 'a token' };

let clock: VirtualClock;
let asked: [identity: string | null, scope: string, within: number][];
let answer: TokenAnswer;
beforeEach(() => {
  clock = virtualClock();
  asked = [];
});

function ownIdentity(hostSuffix = '.vault.azure.net') {
  const token = (...call: [identity: string | null, scope: string, within: number]): TokenAnswer => {
    asked.push(call);
    return answer;
  };
  return createOwnIdentity({ clock, hostSuffix, identities: { token } });
}

test('nothing is missing while there is a token of the own identity for the vaults of its cloud', async () => {
  answer = token;
  expect(await ownIdentity().missing()).toBeNull();
  expect(await ownIdentity('.vault.azure.cn').missing()).toBeNull();
  expect(asked).toEqual([
    [null, 'https://vault.azure.net/.default', 2000],
    [null, 'https://vault.azure.cn/.default', 2000],
  ]);
});

test('what the source of tokens said is said, by class and code', async () => {
  answer = none;
  expect(await ownIdentity().missing()).toBe('the identity does not exist (IDENTITY_400)');
});

test('a source that has none is asked once in five seconds, however many ask us; then a token is heard of', async () => {
  const own = ownIdentity();
  answer = none;
  for (let n = 0; n < 20; n += 1) await own.missing();
  expect(asked).toHaveLength(1);
  answer = token;
  expect(await own.missing()).not.toBeNull();
  await clock.advance(5000);
  expect(await own.missing()).toBeNull();
});
