import type { HttpClient, PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import { createHttpHeaders } from '@azure/core-rest-pipeline';
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys';
import type { KeyOperation } from '../../domain/key.ts';
import type { Challenge } from './challenge.ts';

/** A request as the SDK makes it for one operation at the keys of one vault. From call to call only key, token and body differ. */
export interface RequestTemplate {
  readonly method: string;
  /** What follows the key id in the URL. The id stands in front as it is, so that scheme and host are those of the key. */
  readonly suffix: string;
  /** Names in lower case; without a token. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface RequestTemplates {
  /**
   * At once, without a promise, if it is there. It is there only where the SDK has verified that the challenge's resource is the vault's, and
   * has asked for a token of that resource (K3). Rejects with `UnfitRequest` where the SDK does not make the one request to the vault, and
   * with whatever the SDK throws where it refuses the challenge.
   */
  of(operation: KeyOperation, vaultUri: string, challenge: Challenge): RequestTemplate | Promise<RequestTemplate>;
}

/** The SDK would send something else than the one request of the operation. */
export class UnfitRequest extends Error {
  override readonly name = 'UnfitRequest';
}

/**
 * The SDK makes the request of each operation once a vault, in a rehearsal that never reaches the wire; calls repeat it. So the SDK says what is
 * sent where, and its surprises (facts, key-vault-behaviour 8) meet no call: a hidden GET, a wrap by itself, checks by what it remembers of a
 * key, a race of first requests, retries, errors that quote bodies. No DEK ever passes through it.
 */
export function createRequestTemplates(): RequestTemplates {
  const known: Readonly<Record<KeyOperation, Map<string, Rehearsed>>> = { wrapKey: new Map(), unwrapKey: new Map(), get: new Map() };
  return {
    of(operation, vaultUri, challenge) {
      const rehearsed = known[operation].get(vaultUri);
      // A vault that has moved to another tenant has another challenge.
      if (rehearsed?.challenge === challenge) return rehearsed.template;
      const template = rehearse(operation, vaultUri, challenge);
      const pending = { challenge, template };
      known[operation].set(vaultUri, pending);
      const settle = (ready?: RequestTemplate): void => {
        if (known[operation].get(vaultUri) !== pending) return;
        if (ready === undefined) known[operation].delete(vaultUri);
        else known[operation].set(vaultUri, { challenge, template: ready });
      };
      template.then(settle, () => settle());
      return template;
    },
  };
}

/** Shared by all who ask while it is under way. */
interface Rehearsed {
  readonly challenge: Challenge;
  readonly template: RequestTemplate | Promise<RequestTemplate>;
}

/** Of which key does not matter: the SDK writes its id into the URL as it is. */
const [name, version] = ['rehearsal', '1'] as const;

async function rehearse(operation: KeyOperation, vaultUri: string, challenge: Challenge): Promise<RequestTemplate> {
  const keyId = `${vaultUri}/keys/${name}/${version}`;
  const vault = new RehearsedVault(challenge, operation === 'get' ? { key: { kid: keyId }, attributes: {} } : { kid: keyId, value: '' });
  const credential = credentialFor(challenge);
  // Verification of the challenge's resource stays on (K3).
  const options = { httpClient: vault, retryOptions: { maxRetries: 0 } };
  if (operation === 'get') {
    await new KeyClient(vaultUri, credential, options).getKey(name, { version });
  } else {
    // No key material, operations or dates: with any of them the SDK wraps and checks by itself instead of asking the vault (facts 8.1 to 8.3).
    const key: KeyVaultKey = { id: keyId, name, properties: { id: keyId, name, version, vaultUrl: vaultUri } };
    await new CryptographyClient(key, credential, options)[operation]('RSA-OAEP-256', new Uint8Array(1));
  }
  return vault.template(keyId);
}

/** Gives no token that is of use, and that only for the resource that the broker itself has read from the challenge. */
function credentialFor({ scope }: Challenge): ConstructorParameters<typeof KeyClient>[1] {
  // A number far from any clock: the SDK has no reason to renew it.
  const token = { token: 'rehearsed', expiresOnTimestamp: Number.MAX_SAFE_INTEGER };
  return {
    getToken: (scopes) =>
      [scopes].flat().join() === scope
        ? Promise.resolve(token)
        : Promise.reject(new Error('the SDK reads another resource from the challenge')),
  };
}

/** Plays the vault to one client of the SDK: the remembered challenge, then a success; keeps the request that had a token. */
class RehearsedVault implements HttpClient {
  readonly #challenge: Challenge;
  readonly #success: string;
  readonly #requests: PipelineRequest[] = [];

  constructor(challenge: Challenge, success: object) {
    this.#challenge = challenge;
    this.#success = JSON.stringify(success);
  }

  sendRequest(request: PipelineRequest): Promise<PipelineResponse> {
    if (!request.headers.has('authorization')) {
      return Promise.resolve({ request, status: 401, headers: createHttpHeaders({ 'www-authenticate': this.#challenge.header }) });
    }
    this.#requests.push(request);
    const headers = createHttpHeaders({ 'content-type': 'application/json' });
    return Promise.resolve({ request, status: 200, headers, bodyAsText: this.#success });
  }

  /** @throws UnfitRequest if the SDK sent none, several, or one to elsewhere than the key. */
  template(keyId: string): RequestTemplate {
    const [request, ...more] = this.#requests;
    if (!request?.url.startsWith(keyId) || more.length > 0) throw new UnfitRequest('the SDK does not make one request to the key');
    const { method, url } = request;
    const headers = [...request.headers].map(([name, value]) => [name.toLowerCase(), value] as const);
    return { method, suffix: url.slice(keyId.length), headers: Object.fromEntries(headers.filter(([name]) => repeated.has(name))) };
  }
}

/**
 * What of a request's headers each call repeats. The SDK would also take compressed answers, which are refused (C3), and give each request an
 * id, which no record of the broker has.
 */
const repeated: ReadonlySet<string> = new Set(['accept', 'content-type', 'user-agent']);
