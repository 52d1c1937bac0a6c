import { expect, test } from 'vitest';
import { findingFrom } from '../../src/policy/fault-findings.ts';
import { aFault } from '../support/builders.ts';
import { aVault, keyId } from '../support/stored-values.ts';

const candidate = { server: 'sql-demo', keyId: keyId('kv-west'), vault: aVault() };

test.each([
  {
    fault: aFault({ class: 'revoked', status: 403, code: 'ForbiddenByFirewall', reach: 'vault' }),
    code: 'UnwrapDenied',
    action: /firewall/,
  },
  {
    fault: aFault({ class: 'revoked', status: 403, code: 'ForbiddenByConnection', reach: 'vault' }),
    code: 'UnwrapDenied',
    action: /endpoint/,
  },
  { fault: aFault({ class: 'revoked', status: 403, code: 'ForbiddenByNsp', reach: 'vault' }), code: 'UnwrapDenied', action: /perimeter/ },
  {
    fault: aFault({ class: 'revoked', status: 403, code: 'ForbiddenByRbac', reach: 'identity' }),
    code: 'UnwrapDenied',
    action: /the right to unwrap/,
  },
  {
    fault: aFault({ class: 'vaultGone', status: null, code: 'ENOTFOUND', reach: 'vault' }),
    code: 'KeyUnreachable',
    action: /^Recover the vault/,
  },
  { fault: aFault({ class: 'outage', status: 503 }), code: 'KeyUnreachable', action: /the vault answers/ },
  { fault: aFault({ class: 'throttled', status: 429 }), code: 'KeyUnreachable', action: /less is asked/ },
])('P1: the action against $fault.class ($fault.code) is one that helps', ({ fault, code, action }) => {
  expect(findingFrom(candidate, fault, 'unwrap')).toMatchObject({ code, action: expect.stringMatching(action) as string });
});
