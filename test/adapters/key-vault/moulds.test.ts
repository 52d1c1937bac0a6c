import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createHttpHeaders, type HttpClient, type PipelineRequest } from '@azure/core-rest-pipeline';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { parseChallenge, type Challenge } from '../../../src/adapters/key-vault/challenge.ts';
import { createMoulds, type Mould } from '../../../src/adapters/key-vault/moulds.ts';
import { Dek } from '../../../src/domain/dek.ts';
import type { KeyId } from '../../../src/domain/key.ts';
import { patience, useKeyVaultRig } from '../../support/key-vault-rig.ts';
import { challengeHeader, vaultHeaders } from '../../support/scripted-vault.ts';

const keyId = 'https://kv-west.vault.azure.net/keys/kek/v1' as KeyId;

describe('the moulds of requests', () => {
  it.each([
    ['wrapKey', 'POST', `${keyId}/wrapkey?api%2Dversion=`],
    ['unwrapKey', 'POST', `${keyId}/unwrapkey?api%2Dversion=`],
    ['get', 'GET', `${keyId}?api%2Dversion=`],
  ] as const)('C1: %s is asked for at its key, with neither token nor body', async (operation, method, url) => {
    const mould = await createMoulds(9).of(operation, keyId, challenge());
    expect(mould).toMatchObject({ method, headers: { accept: 'application/json' } });
    expect(mould.url.slice(0, url.length)).toBe(url);
    expect(Object.keys(mould).sort()).toEqual(['headers', 'method', 'url']);
    expect(Object.keys(mould.headers)).not.toContain('authorization');
    expect(Object.keys(mould.headers)).not.toContain('accept-encoding');
  });

  it('C1: those of one key are made once, by all who ask at once, and are there at once afterwards', async () => {
    const moulds = createMoulds(9);
    const met = challenge();
    const [first, second] = [moulds.of('wrapKey', keyId, met), moulds.of('wrapKey', keyId, met)];
    expect(first).toBe(second);
    const mould = await first;
    expect(moulds.of('wrapKey', keyId, met)).toBe(mould);
  });

  it('K3: a challenge whose resource is not the vault’s is refused, each time', async () => {
    const moulds = createMoulds(9);
    const foreign = challenge('https://vault.example.net');
    for (const operation of ['wrapKey', 'unwrapKey', 'get', 'get'] as const) {
      await expect((async () => moulds.of(operation, keyId, foreign))()).rejects.toThrow('does not match');
    }
    expect(await moulds.of('get', keyId, challenge())).toMatchObject({ method: 'GET' });
  });

  it('K3: another challenge is verified anew', async () => {
    const moulds = createMoulds(9);
    await moulds.of('get', keyId, challenge());
    await expect((async () => moulds.of('get', keyId, challenge('https://vault.example.net')))()).rejects.toThrow('does not match');
  });

  it('keeps those that were used last', async () => {
    const moulds = createMoulds(2);
    const met = challenge();
    const other = (n: number): KeyId => keyId.replace('v1', `v${n}`) as KeyId;
    const first = await moulds.of('get', keyId, met);
    await moulds.of('get', other(2), met);
    expect(moulds.of('get', keyId, met)).toBe(first);
    await moulds.of('get', other(3), met);
    expect(moulds.of('get', keyId, met)).toBe(first);
    expect(moulds.of('get', other(2), met)).toBeInstanceOf(Promise);
  });
});

describe('what is sent', () => {
  const rigOf = useKeyVaultRig();

  it('C1: byte for byte what the SDK sends for the same call', async () => {
    const { vaults, vault, target } = rigOf();
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 512 });
    const algorithm = fc.constantFrom('RSA-OAEP-256', 'RSA-OAEP', 'RSA1_5');
    await fc.assert(
      fc.asyncProperty(bytes, algorithm, fc.boolean(), async (value, alg, wraps) => {
        vault.seen.length = 0;
        if (wraps && alg !== 'RSA1_5') await vaults.wrap(target, new Dek(Uint8Array.from(value)), alg, patience);
        else await vaults.unwrap(target, value, alg, patience);
        const sdk = await sentBySdk(target.keyId, (client) =>
          wraps && alg !== 'RSA1_5' ? client.wrapKey(alg, value) : client.unwrapKey(alg, value),
        );
        const sent = vault.seen.find(({ token }) => token !== null);
        expect(sent).toMatchObject({ method: sdk.method, path: pathOf(sdk), body: sdk.body });
      }),
      { numRuns: 50 },
    );
  });

  it('C1: and of a key the same address', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer({ status: 200, headers: vaultHeaders, body: '{}' });
    await vaults.get(target, patience);
    const stage = createStage();
    await new KeyClient(vault.vault.uri, credential, { httpClient: stage.client }).getKey('kek', { version: 'v1' });
    const sdk = stage.sent();
    expect(vault.seen.find(({ token }) => token !== null)).toMatchObject({ method: sdk.method, path: pathOf(sdk), body: '' });
  });
});

const credential = { getToken: () => Promise.resolve({ token: 'x', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) };

function challenge(resource = 'https://vault.azure.net'): Challenge {
  const parsed = parseChallenge(challengeHeader('t1', resource));
  if (parsed === undefined) throw new Error('not a challenge');
  return parsed;
}

function pathOf({ url }: Pick<Mould, 'url'>): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

async function sentBySdk(id: string, call: (client: CryptographyClient) => Promise<unknown>): Promise<PipelineRequest> {
  const stage = createStage();
  const { origin } = new URL(id);
  const key = { id, name: 'kek', properties: { id, name: 'kek', version: 'v1', vaultUrl: origin } };
  await call(new CryptographyClient(key, credential, { httpClient: stage.client }));
  return stage.sent();
}

function createStage(): { readonly client: HttpClient; sent(): PipelineRequest } {
  let last: PipelineRequest | undefined;
  return {
    client: {
      sendRequest(request) {
        const anonymous = !request.headers.has('authorization');
        if (!anonymous) last = request;
        const headers = createHttpHeaders(
          anonymous ? { 'www-authenticate': challengeHeader('t1') } : { 'content-type': 'application/json' },
        );
        return Promise.resolve({
          request,
          status: anonymous ? 401 : 200,
          headers,
          bodyAsText: '{"key":{"kid":"https://kv-one.vault.test/keys/kek/v1"},"attributes":{}}',
        });
      },
    },
    sent() {
      if (last === undefined) throw new Error('the SDK has sent nothing');
      return last;
    },
  };
}
