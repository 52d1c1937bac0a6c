import { describe, expect, test } from 'vitest';
import { createCalls } from '../local/vault/calls.ts';
import { rememberTokens, type TokenClaims } from '../local/vault/tokens.ts';

describe('the list of calls', () => {
  test('keeps the newest in order, and an answer that comes late reaches its call', () => {
    const calls = createCalls(3);
    const open = [1, 2, 3, 4, 5].map((at) => calls.add(at, null, 'get', `key-${at}`));
    for (const call of open) call.status = 200;
    expect(calls.list().map(({ keyId, status }) => [keyId, status])).toEqual([
      ['key-3', 200],
      ['key-4', 200],
      ['key-5', 200],
    ]);
    calls.clear();
    calls.add(6, null, 'get', 'key-6');
    expect(calls.list()).toEqual([{ at: '1970-01-01T00:00:00.006Z', principal: null, operation: 'get', keyId: 'key-6', status: null }]);
  });
});

describe('the memory of tokens', () => {
  const claims: TokenClaims = { principal: 'p', appId: 'a', audience: 'https://vault.localhost', tenant: 't', expiresAt: 1 };

  test('a token is checked once, whatever its claims; one with a flaw each time; the oldest makes room', async () => {
    const checked: string[] = [];
    const claimsOf = rememberTokens((token) => {
      checked.push(token);
      return Promise.resolve(token === 'flawed' ? 'unresolvedKey' : claims);
    }, 2);
    for (const token of ['one', 'one', 'flawed', 'flawed', 'two', 'three', 'three', 'two', 'one']) await claimsOf(token);
    expect(checked).toEqual(['one', 'flawed', 'flawed', 'two', 'three', 'one']);
  });
});
