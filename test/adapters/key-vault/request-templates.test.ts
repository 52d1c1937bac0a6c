import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createHttpHeaders, type HttpClient, type PipelineRequest } from '@azure/core-rest-pipeline';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { parseChallenge, type Challenge } from '../../../src/adapters/key-vault/challenge.ts';
import { createRequestTemplates, UnfitRequest } from '../../../src/adapters/key-vault/request-templates.ts';
import { Dek } from '../../../src/domain/dek.ts';
import type { KeyId } from '../../../src/domain/key.ts';
import { patience, useKeyVaultRig } from '../../support/key-vault-rig.ts';
import { challengeHeader, vaultHeaders } from '../../support/scripted-vault.ts';

const vaultUri = 'https://kv-west.vault.azure.net';

describe('the templates of requests', () => {
  it.each([
    ['wrapKey', 'POST', '/wrapkey?api%2Dversion='],
    ['unwrapKey', 'POST', '/unwrapkey?api%2Dversion='],
    ['get', 'GET', '?api%2Dversion='],
  ] as const)('C1: %s is asked for at its key, with neither token nor body', async (operation, method, suffix) => {
    const template = await createRequestTemplates().of(operation, vaultUri, challenge());
    expect(template).toMatchObject({ method, headers: { accept: 'application/json' } });
    expect(template.suffix.slice(0, suffix.length)).toBe(suffix);
    expect(Object.keys(template).sort()).toEqual(['headers', 'method', 'suffix']);
    expect(Object.keys(template.headers)).not.toContain('authorization');
    expect(Object.keys(template.headers)).not.toContain('accept-encoding');
  });

  it('C1: those of one vault are made once, by all who ask at once, and are there at once afterwards', async () => {
    const templates = createRequestTemplates();
    const met = challenge();
    const [first, second] = [templates.of('wrapKey', vaultUri, met), templates.of('wrapKey', vaultUri, met)];
    expect(first).toBe(second);
    const template = await first;
    expect(templates.of('wrapKey', vaultUri, met)).toBe(template);
    expect(templates.of('wrapKey', 'https://kv-two.vault.azure.net', met)).toBeInstanceOf(Promise);
  });

  it('K3: a challenge whose resource is not the vault’s is refused, each time', async () => {
    const templates = createRequestTemplates();
    const foreign = challenge('https://vault.example.net');
    for (const operation of ['wrapKey', 'unwrapKey', 'get', 'get'] as const) {
      await expect((async () => templates.of(operation, vaultUri, foreign))()).rejects.toThrow('does not match');
    }
    expect(await templates.of('get', vaultUri, challenge())).toMatchObject({ method: 'GET' });
  });

  it('K3: another challenge is verified anew, and does not wait for one that is under way', async () => {
    const templates = createRequestTemplates();
    const foreign = challenge('https://vault.example.net');
    const [good, moved, back] = [challenge(), foreign, challenge()].map((one) => (async () => templates.of('get', vaultUri, one))());
    await expect(moved).rejects.toThrow('does not match');
    expect(await good).toMatchObject({ method: 'GET' });
    expect(await back).toMatchObject({ method: 'GET' });
    await expect((async () => templates.of('get', vaultUri, foreign))()).rejects.toThrow('does not match');
  });

  it('K3: what the SDK has verified is what the broker asks a token for', async () => {
    const header = 'Bearer resource="https://vault.azure.net" x,resource="https://graph.microsoft.com"';
    const parsed = parseChallenge(header);
    if (parsed === undefined) throw new Error('not a challenge');
    await expect((async () => createRequestTemplates().of('wrapKey', vaultUri, parsed))()).rejects.toThrow('another resource');
  });

  it('C1: a vault whose address the SDK writes differently has none', async () => {
    const mixed = vaultUri.replace('kv-west', 'KV-West');
    await expect((async () => createRequestTemplates().of('wrapKey', mixed, challenge()))()).rejects.toBeInstanceOf(UnfitRequest);
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
        expect(sent).toMatchObject({ method: sdk.method, path: pathOf(sdk), body: sdk.body, described: describedBy(sdk) });
      }),
      { numRuns: 50 },
    );
  });

  it('C1: to the key as its link spells it, also where a link of an earlier version is in mixed case', async () => {
    const { vaults, vault, target } = rigOf();
    const keyId = target.keyId.replace('/kek/', '/Kek/') as KeyId;
    expect(await vaults.wrap({ ...target, keyId }, new Dek(new Uint8Array(32)), 'RSA-OAEP-256', patience)).toMatchObject({ ok: true });
    vault.answer({ status: 200, headers: vaultHeaders, body: '{}' });
    await vaults.get({ ...target, keyId }, patience);
    expect(vault.seen.map(({ method, path }) => [method, path.split(/\/wrapkey|\?/)[0]]).slice(1)).toEqual([
      ['POST', '/keys/Kek/v1'],
      ['GET', '/keys/Kek/v1'],
    ]);
  });

  it('C1: and of a key the same address', async () => {
    const { vaults, vault, target } = rigOf();
    vault.answer({ status: 200, headers: vaultHeaders, body: '{}' });
    await vaults.get(target, patience);
    const stage = createStage();
    await new KeyClient(vault.vault.uri, credential, { httpClient: stage.client }).getKey('kek', { version: 'v1' });
    const sdk = stage.sent();
    expect(vault.seen.find(({ token }) => token !== null)).toMatchObject({
      method: sdk.method,
      path: pathOf(sdk),
      body: '',
      described: describedBy(sdk),
    });
  });
});

const credential = { getToken: () => Promise.resolve({ token: 'x', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) };

function challenge(resource = 'https://vault.azure.net'): Challenge {
  const parsed = parseChallenge(challengeHeader('t1', resource));
  if (parsed === undefined) throw new Error('not a challenge');
  return parsed;
}

function pathOf({ url }: PipelineRequest): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

function describedBy({ headers }: PipelineRequest): Readonly<Record<string, string | undefined>> {
  return { 'content-type': headers.get('content-type'), accept: headers.get('accept'), 'user-agent': headers.get('user-agent') };
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
