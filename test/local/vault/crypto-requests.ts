import {
  badPadding,
  badPkcs1Padding,
  invalidProperty,
  keyDisabled,
  keyExpired,
  keyNotYetValid,
  operationForbidden,
  type VaultError,
} from './errors.ts';
import { signAlgorithms, wrapAlgorithms, type KeyMaterial, type SignAlgorithm, type WrapAlgorithm } from './key-material.ts';
import { idOf, type KeyVersion } from './keys.ts';
import type { CryptoOperation } from './operations.ts';

/** A request's JSON body; undefined where it had none or it was no JSON object. */
export type RequestBody = Readonly<Record<string, unknown>> | undefined;

/**
 * What the state of the key forbids (facts, key-vault-behaviour 3.2). A disabled key still encrypts, wraps and verifies; outside its dates a
 * key still decrypts, unwraps and verifies. The few minutes of leeway that the service gives at either date are not imitated.
 */
export function usageRefusal(key: KeyVersion, operation: CryptoOperation, now: number): VaultError | undefined {
  const opens = operation === 'unwrapKey' || operation === 'decrypt';
  if (!key.enabled && (opens || operation === 'sign')) return keyDisabled(operation);
  if (!opens && operation !== 'verify') {
    if (key.expires !== null && now >= key.expires) return keyExpired(operation);
    if (key.notBefore !== null && now < key.notBefore) return keyNotYetValid(operation);
  }
  return key.keyOps.includes(operation) ? undefined : operationForbidden(operation);
}

/** Does a key operation whose use the key allows. `uri` is the vault's origin. */
export async function useKey(uri: string, key: KeyVersion, operation: CryptoOperation, body: RequestBody): Promise<object | VaultError> {
  const { material } = key;
  if (operation === 'verify') return verify(material, body);
  const value = readBytes(body?.['value']);
  if (value === undefined) return invalidProperty;
  const made = operation === 'sign' ? sign(material, body?.['alg'], value) : await crypt(material, operation, body?.['alg'], value);
  return Buffer.isBuffer(made) ? { kid: idOf(uri, key), value: made.toString('base64url') } : made;
}

async function crypt(material: KeyMaterial, operation: CryptoOperation, algorithm: unknown, value: Buffer): Promise<Buffer | VaultError> {
  if (!isWrapAlgorithm(algorithm)) return invalidProperty;
  if (operation === 'wrapKey' || operation === 'encrypt') return material.encrypt(algorithm, value) ?? invalidProperty;
  if (value.length !== material.bits / 8) return invalidProperty;
  return (await material.decrypt(algorithm, value)) ?? (algorithm === 'RSA1_5' ? badPkcs1Padding : badPadding);
}

function sign(material: KeyMaterial, algorithm: unknown, digest: Buffer): Buffer | VaultError {
  return isSignAlgorithm(algorithm) ? (material.sign(algorithm, digest) ?? invalidProperty) : invalidProperty;
}

function verify(material: KeyMaterial, body: RequestBody): object | VaultError {
  const algorithm = body?.['alg'];
  const digest = readBytes(body?.['digest']);
  const signature = readBytes(body?.['value']);
  if (!isSignAlgorithm(algorithm) || digest === undefined || signature === undefined) return invalidProperty;
  return { value: material.verify(algorithm, digest, signature) };
}

const base64url = /^[A-Za-z0-9_-]+$/;

/** Reads base64url without padding; undefined for anything else, and for nothing at all. */
export function readBytes(value: unknown): Buffer | undefined {
  return typeof value === 'string' && base64url.test(value) ? Buffer.from(value, 'base64url') : undefined;
}

function isWrapAlgorithm(algorithm: unknown): algorithm is WrapAlgorithm {
  return wrapAlgorithms.some((known) => known === algorithm);
}

function isSignAlgorithm(algorithm: unknown): algorithm is SignAlgorithm {
  return signAlgorithms.some((known) => known === algorithm);
}
