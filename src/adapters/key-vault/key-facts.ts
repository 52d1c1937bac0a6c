import { createHash } from 'node:crypto';
import { parseThumbprint, type KeyFacts, type KeyId, type Thumbprint } from '../../domain/key.ts';
import { readJson } from '../json.ts';

/** What the body of `GET /keys/{name}/{version}` does not say. */
export interface KeyContext {
  readonly keyId: KeyId;
  readonly vaultRegion: string | null;
  readonly tenant: string | null;
}

/** Reads a key bundle (facts, key-vault-behaviour 7.1); undefined where what every key has is missing or of another type. */
export function readKeyFacts(body: Readonly<Record<string, unknown>>, context: KeyContext): KeyFacts | undefined {
  const key = readJson(body['key']);
  const attributes = readJson(body['attributes']);
  if (key === undefined || attributes === undefined) return undefined;
  const { kty, key_ops: operations = [], n, e } = key;
  const { enabled, nbf, exp, recoveryLevel } = attributes;
  if (typeof kty !== 'string' || typeof enabled !== 'boolean' || typeof recoveryLevel !== 'string') return undefined;
  if (!Array.isArray(operations) || !operations.every((one) => typeof one === 'string')) return undefined;
  const rsa = kty === 'RSA' || kty === 'RSA-HSM' ? readRsa(n, e) : notRsa;
  const notBefore = readSeconds(nbf);
  const expires = readSeconds(exp);
  if (rsa === undefined || notBefore === undefined || expires === undefined) return undefined;
  return { ...context, keyType: kty, ...rsa, enabled, notBefore, expires, operations, recoveryLevel };
}

type RsaFacts = Pick<KeyFacts, 'keySize' | 'thumbprint' | 'publicKey'>;

const notRsa: RsaFacts = { keySize: 0, thumbprint: undefined, publicKey: undefined };

/** Size and RFC 7638 thumbprint of a public RSA key. `RSA-HSM` is Key Vault's own word: the public JWK of such a key has `kty` RSA. */
function readRsa(n: unknown, e: unknown): RsaFacts | undefined {
  const modulus = readUnsigned(n);
  const exponent = readUnsigned(e);
  const [lead] = modulus ?? [];
  if (modulus === undefined || exponent === undefined || lead === undefined) return undefined;
  const publicKey = { n: modulus.toString('base64url'), e: exponent.toString('base64url') };
  return { keySize: modulus.length * 8 - (Math.clz32(lead) - 24), thumbprint: rsaThumbprint(publicKey), publicKey };
}

function rsaThumbprint({ n, e }: { readonly n: string; readonly e: string }): Thumbprint | undefined {
  // RFC 7638 section 3.2: the required members alone, in lexicographic order, without white space.
  const jwk = JSON.stringify({ e, kty: 'RSA', n });
  return parseThumbprint(createHash('sha256').update(jwk).digest('base64url'));
}

/** A Base64urlUInt (RFC 7518 section 2) in its shortest form, without leading zero bytes, so that equal numbers have equal thumbprints. */
function readUnsigned(value: unknown): Buffer | undefined {
  if (typeof value !== 'string') return undefined;
  const bytes = Buffer.from(value, 'base64url');
  const start = bytes.findIndex((byte) => byte !== 0);
  return start === -1 ? undefined : bytes.subarray(start);
}

/** Seconds since the epoch as milliseconds; null where the key has no such time; undefined for anything but a number. */
function readSeconds(value: unknown): number | null | undefined {
  if (value === undefined || value === null) return null;
  return typeof value === 'number' ? value * 1000 : undefined;
}
