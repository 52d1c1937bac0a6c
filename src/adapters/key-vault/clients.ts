import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys';
import { parseKeyId, type KeyId } from '../../domain/key.ts';
import type { Challenge } from './challenge.ts';
import { exchangeClient, Rehearsal, straightToExchange } from './exchange.ts';

/** SDK clients, ready for use: each has met the vault's challenge in a rehearsal, so that no request of it starts on the wire without a token. */
export interface Clients {
  /** For wrap and unwrap. At once, without a promise, if it is there. Rejects where the SDK refuses the challenge, or the key id. */
  cryptography(keyId: KeyId, challenge: Challenge): CryptographyClient | Promise<CryptographyClient>;
  /** For get. */
  keys(vaultUri: string, challenge: Challenge): KeyClient | Promise<KeyClient>;
}

/** A number far from any clock: the SDK never renews the token that it believes it has. */
const handle = { token: 'carried-by-the-exchange', expiresOnTimestamp: Number.MAX_SAFE_INTEGER };
const credential = { getToken: () => Promise.resolve(handle) };

/**
 * A client costs a pipeline of policies, so each is kept, the least recently used up to `capacity`.
 * One client serves all identities: the exchange puts the token of the call in place of the SDK's.
 */
export function createClients(capacity: number): Clients {
  const cryptography = new WarmClients<CryptographyClient>(capacity);
  const keys = new WarmClients<KeyClient>(capacity);
  return {
    cryptography: (keyId, challenge) => cryptography.get(keyId, challenge, rehearseCryptography),
    keys: (vaultUri, challenge) => keys.get(vaultUri, challenge, rehearseKeys),
  };
}

interface Warm<C> {
  readonly challenge: Challenge;
  readonly client: C | Promise<C>;
}

class WarmClients<C> {
  readonly #capacity: number;
  readonly #kept = new Map<string, Warm<C>>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** One that rehearsed another challenge (the vault has moved to another tenant) is made anew. */
  get(key: string, challenge: Challenge, rehearse: (key: string, challenge: Challenge) => Promise<C>): C | Promise<C> {
    const known = this.#kept.get(key);
    if (known?.challenge === challenge) {
      this.#keep(key, known);
      return known.client;
    }
    const client = rehearse(key, challenge);
    const warming: Warm<C> = { challenge, client };
    this.#keep(key, warming);
    const settle = (ready?: C): void => {
      if (this.#kept.get(key) !== warming) return;
      if (ready === undefined) this.#kept.delete(key);
      else this.#kept.set(key, { challenge, client: ready });
    };
    client.then(settle, () => settle());
    return client;
  }

  /** A Map iterates in the order of insertion: the first key is the one that was used least recently. */
  #keep(key: string, warm: Warm<C>): void {
    this.#kept.delete(key);
    this.#kept.set(key, warm);
    if (this.#kept.size <= this.#capacity) return;
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      return;
    }
  }
}

async function rehearseCryptography(keyId: string, challenge: Challenge): Promise<CryptographyClient> {
  const parts = parseKeyId(keyId);
  if (parts === undefined) throw new Error('not a versioned key id');
  const { name, version, vaultUri } = parts;
  // No key material, operations or dates: with any of them the SDK wraps and checks by itself instead of asking the vault (facts 8.1 to 8.3).
  const key: KeyVaultKey = { id: keyId, name, properties: { id: keyId, name, version, vaultUrl: vaultUri } };
  const client = new CryptographyClient(key, credential, sdkOptions());
  const rehearsal = new Rehearsal(challenge, JSON.stringify({ kid: keyId, value: '' }));
  await client.unwrapKey('RSA-OAEP-256', new Uint8Array(1), { abortSignal: rehearsal.signal });
  return client;
}

async function rehearseKeys(vaultUri: string, challenge: Challenge): Promise<KeyClient> {
  const client = new KeyClient(vaultUri, credential, sdkOptions());
  const rehearsal = new Rehearsal(challenge, JSON.stringify({ key: { kid: `${vaultUri}/keys/rehearsal/1` }, attributes: {} }));
  await client.getKey('rehearsal', { abortSignal: rehearsal.signal });
  return client;
}

/** Made anew for each client: the SDK writes into what it is given. Verification of the challenge's resource stays on (K3). */
function sdkOptions(): ConstructorParameters<typeof KeyClient>[2] {
  return {
    httpClient: exchangeClient,
    retryOptions: { maxRetries: 0 },
    additionalPolicies: [{ policy: straightToExchange, position: 'perCall' }],
  };
}
