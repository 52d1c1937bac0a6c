import { beforeEach, describe, expect, it } from 'vitest';
import { faultOf, markedDek, patience, useKeyVaultRig } from '../../support/key-vault-rig.ts';
import { challengeHeader, healthy, vaultError, type Answer, type Seen } from '../../support/scripted-vault.ts';

const rigOf = useKeyVaultRig('managedHsm');

/** A Managed HSM's 401: empty, and none of Key Vault's headers (facts 3.1.1). */
const empty401: Answer = { status: 401, headers: { 'www-authenticate': challengeHeader('tenant-1') } };
const hsmHeaders = { 'content-type': 'application/json', 'x-ms-server-latency': '3' };

describe('a Managed HSM', () => {
  beforeEach(() => rigOf().vault.challenge(empty401));

  function hsmSuccess(request: Seen): Answer {
    return { ...healthy(request, rigOf().vault.vault.uri), headers: hsmHeaders };
  }

  it('C3: is known by its latency header', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer(hsmSuccess);
    expect(await vaults.wrap(target, markedDek(), 'RSA-OAEP-256', patience)).toMatchObject({ ok: true });
  });

  it('T06: an empty 401 to a token is answered with one new token, then it is revoked', async () => {
    const { vaults, vault, target, identity } = rigOf();
    vault.answer(empty401);
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP-256', patience))).toMatchObject({
      class: 'revoked',
      status: 401,
      reach: 'identity',
    });
    expect(vault.seen.filter((one) => one.token !== null)).toHaveLength(2);
    expect(identity.seen).toHaveLength(2);
  });

  it('T06: a new token that is accepted makes the call a success', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer(empty401, hsmSuccess);
    expect(await vaults.wrap(target, markedDek(), 'RSA-OAEP-256', patience)).toMatchObject({ ok: true });
  });

  it('T07: AccessDenied is a denial of the identity', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer({ ...vaultError(403, { code: 'AccessDenied' }), headers: hsmHeaders });
    expect(faultOf(await vaults.wrap(target, markedDek(), 'RSA-OAEP-256', patience))).toMatchObject({
      class: 'revoked',
      code: 'AccessDenied',
      reach: 'identity',
    });
  });
});
