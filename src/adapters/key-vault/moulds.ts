import type { HttpClient, PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import { createHttpHeaders } from '@azure/core-rest-pipeline';
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys';
import { parseKeyId, type KeyId, type KeyOperation } from '../../domain/key.ts';
import type { Challenge } from './challenge.ts';

/** A request as the SDK makes it for one operation at one key. From call to call only the token and the body differ. */
export interface Mould {
  readonly method: string;
  /** Begins with the key id, so that scheme and host are those of the key. */
  readonly url: string;
  /** In lower case; without a token. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Moulds {
  /**
   * At once, without a promise, if it is there. It is there only where the SDK has verified that the challenge's resource is the vault's (K3).
   * Rejects where the SDK refuses the challenge, or the key id.
   */
  of(operation: KeyOperation, keyId: KeyId, challenge: Challenge): Mould | Promise<Mould>;
}

/**
 * The SDK makes the request of each operation once a key, in a rehearsal that never reaches the wire, and calls repeat it: the SDK says what is
 * sent where, and no call meets what it does besides (facts, key-vault-behaviour 8): neither its hidden GET nor a wrap of its own, its checks
 * by what it remembers of a key, its race of first requests, its retries, or its errors that quote bodies. No DEK ever passes through it.
 *
 * @param capacity how many moulds of an operation are kept: the least recently used goes first
 */
export function createMoulds(capacity: number): Moulds {
  const kept = { wrapKey: new Kept(capacity), unwrapKey: new Kept(capacity), get: new Kept(capacity) };
  return {
    of(operation, keyId, challenge) {
      const moulds = kept[operation];
      return moulds.find(keyId, challenge) ?? moulds.keep(keyId, challenge, rehearse(operation, keyId, challenge));
    },
  };
}

interface Cast {
  readonly challenge: Challenge;
  readonly mould: Mould | Promise<Mould>;
}

class Kept {
  readonly #capacity: number;
  readonly #casts = new Map<string, Cast>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** None that rehearsed another challenge: the vault has moved to another tenant. */
  find(keyId: string, challenge: Challenge): Mould | Promise<Mould> | undefined {
    const known = this.#casts.get(keyId);
    if (known?.challenge !== challenge) return undefined;
    this.#put(keyId, known);
    return known.mould;
  }

  /** Shared by all who ask meanwhile; forgotten where it fails. */
  keep(keyId: string, challenge: Challenge, mould: Promise<Mould>): Promise<Mould> {
    const pending: Cast = { challenge, mould };
    this.#put(keyId, pending);
    const settle = (ready?: Mould): void => {
      if (this.#casts.get(keyId) !== pending) return;
      if (ready === undefined) this.#casts.delete(keyId);
      else this.#casts.set(keyId, { challenge, mould: ready });
    };
    mould.then(settle, () => settle());
    return mould;
  }

  /** A Map iterates in the order of insertion: the first key is the one that was used least recently. */
  #put(keyId: string, cast: Cast): void {
    this.#casts.delete(keyId);
    this.#casts.set(keyId, cast);
    if (this.#casts.size <= this.#capacity) return;
    for (const oldest of this.#casts.keys()) {
      this.#casts.delete(oldest);
      return;
    }
  }
}

/** A number far from any clock: the SDK has no reason to renew the token that it believes it has. */
const handle = { token: 'rehearsed', expiresOnTimestamp: Number.MAX_SAFE_INTEGER };
const credential = { getToken: () => Promise.resolve(handle) };

async function rehearse(operation: KeyOperation, keyId: KeyId, challenge: Challenge): Promise<Mould> {
  const { name = '', version = '', vaultUri = '' } = parseKeyId(keyId) ?? {};
  const stage = new Stage(challenge, operation === 'get' ? { key: { kid: keyId }, attributes: {} } : { kid: keyId, value: '' });
  // Verification of the challenge's resource stays on (K3).
  const options = { httpClient: stage, retryOptions: { maxRetries: 0 } };
  if (operation === 'get') {
    await new KeyClient(vaultUri, credential, options).getKey(name, { version });
  } else {
    // No key material, operations or dates: with any of them the SDK wraps and checks by itself instead of asking the vault (facts 8.1 to 8.3).
    const key: KeyVaultKey = { id: keyId, name, properties: { id: keyId, name, version, vaultUrl: vaultUri } };
    await new CryptographyClient(key, credential, options)[operation]('RSA-OAEP-256', new Uint8Array(1));
  }
  return stage.mould(keyId);
}

/** Plays the vault to one client of the SDK: the remembered challenge, then a success; keeps the request that had a token. */
class Stage implements HttpClient {
  readonly #challenge: Challenge;
  readonly #success: string;
  #request: PipelineRequest | undefined;

  constructor(challenge: Challenge, success: object) {
    this.#challenge = challenge;
    this.#success = JSON.stringify(success);
  }

  sendRequest(request: PipelineRequest): Promise<PipelineResponse> {
    if (!request.headers.has('authorization')) {
      return Promise.resolve({ request, status: 401, headers: createHttpHeaders({ 'www-authenticate': this.#challenge.header }) });
    }
    this.#request = request;
    const headers = createHttpHeaders({ 'content-type': 'application/json' });
    return Promise.resolve({ request, status: 200, headers, bodyAsText: this.#success });
  }

  /** @throws if the SDK sent nothing, or to elsewhere than the key. */
  mould(keyId: KeyId): Mould {
    const request = this.#request;
    if (!request?.url.startsWith(keyId)) throw new Error('the SDK has made no request to the key');
    const { method, url } = request;
    const said = [...request.headers].map(([name, value]) => [name.toLowerCase(), value] as const);
    return { method, url, headers: Object.fromEntries(said.filter(([name]) => repeated.has(name))) };
  }
}

/** What of a request's headers each call repeats. The SDK would also take compressed answers, which are refused (C3), and give ids that nobody reads. */
const repeated: ReadonlySet<string> = new Set(['accept', 'content-type', 'user-agent']);
