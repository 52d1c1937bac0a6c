declare const keyIdBrand: unique symbol;
declare const thumbprintBrand: unique symbol;

/**
 * A full versioned key URI, normalised: `https://{vault}/keys/{name}/{version}`, no user info, query or fragment, all of it in lower case. Key Vault
 * has clients compare object identifiers without regard to case ("Object identifiers" in its overview of keys, secrets and certificates): two
 * spellings of one key would be two links, of which one could be latched and the other not.
 */
export type KeyId = string & { readonly [keyIdBrand]: true };

/** RFC 7638 SHA-256 thumbprint of a public RSA JWK, base64url without padding (43 letters). */
export type Thumbprint = string & { readonly [thumbprintBrand]: true };

export const wrapAlgorithms = ['RSA-OAEP-256', 'RSA-OAEP'] as const;
export type WrapAlgorithm = (typeof wrapAlgorithms)[number];

/** RSA1_5 only unwraps: what was wrapped long ago must be readable, and nothing new is made with it (design, section 5). */
export const unwrapAlgorithms = [...wrapAlgorithms, 'RSA1_5'] as const;
export type UnwrapAlgorithm = (typeof unwrapAlgorithms)[number];

export type KeyOperation = 'get' | 'wrapKey' | 'unwrapKey';

/** The parts of a key id. `vaultUri` is the origin that the id starts with, e.g. `https://kv.vault.azure.net`. */
export interface KeyIdParts {
  readonly keyId: KeyId;
  readonly vaultUri: string;
  readonly name: string;
  readonly version: string;
}

const keyPath = /^\/keys\/([A-Za-z0-9-]{1,127})\/([A-Za-z0-9]{1,64})$/;

/**
 * Reads a versioned key id.
 * @returns the parts; undefined for anything else: another scheme, user info, query, fragment, no version, foreign letters.
 */
export function parseKeyId(text: string): KeyIdParts | undefined {
  // A letter beyond ASCII may look like another, and lower-case to it.
  if (text.length > 512 || !/^https:\/\/[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const path = keyPath.exec(url.pathname);
  const [, name, version] = path ?? [];
  if (name === undefined || version === undefined) return undefined;
  const named = { name: name.toLowerCase(), version: version.toLowerCase() };
  const keyId = `${url.origin}/keys/${named.name}/${named.version}`;
  // Comparing with the text refuses user info, `?`, `#`, encoded letters and dot segments in one go; only case is free.
  if (keyId !== text.toLowerCase()) return undefined;
  return { keyId: keyId as KeyId, vaultUri: url.origin, ...named };
}

const thumbprintForm = /^[A-Za-z0-9_-]{43}$/;

/** Reads a thumbprint; undefined if the text has not the form of one. */
export function parseThumbprint(text: string): Thumbprint | undefined {
  return thumbprintForm.test(text) ? (text as Thumbprint) : undefined;
}

/** What a vault says of a key (facts, key-vault-behaviour 7.1). */
export interface KeyFacts {
  readonly keyId: KeyId;
  readonly keyType: string;
  /** Modulus length in bits; 0 where the key is not RSA. */
  readonly keySize: number;
  /** Undefined where the key is not RSA: then there is no public JWK to hash. */
  readonly thumbprint: Thumbprint | undefined;
  /** Public modulus and exponent, base64url; undefined where the key is not RSA. */
  readonly publicKey: { readonly n: string; readonly e: string } | undefined;
  readonly enabled: boolean;
  /** Milliseconds since the epoch; null if the key has none. */
  readonly notBefore: number | null;
  readonly expires: number | null;
  readonly operations: readonly string[];
  readonly recoveryLevel: string;
  /** `x-ms-keyvault-region` of the answer; null where the vault does not name it. */
  readonly vaultRegion: string | null;
  /** Tenant named by the vault's challenge; null where none has been seen. */
  readonly tenant: string | null;
}
