import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  timingSafeEqual,
  webcrypto,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';

export const keySizes = [2048, 3072, 4096] as const;
export type KeySize = (typeof keySizes)[number];

export const wrapAlgorithms = ['RSA-OAEP-256', 'RSA-OAEP', 'RSA1_5'] as const;
export type WrapAlgorithm = (typeof wrapAlgorithms)[number];
/** PKCS #1 v1.5 signatures; the service's PSS algorithms are not carried. */
export const signAlgorithms = ['RS256', 'RS384', 'RS512'] as const;
export type SignAlgorithm = (typeof signAlgorithms)[number];

/** An RSA key pair and what a vault does with it. Byte strings that do not fit give undefined, never an exception. */
export interface KeyMaterial {
  readonly bits: KeySize;
  /** Modulus and public exponent, base64url. */
  readonly n: string;
  readonly e: string;
  /** RFC 7638, base64url. */
  readonly thumbprint: string;
  /** Undefined if `plaintext` is too long for the padding. */
  encrypt(algorithm: WrapAlgorithm, plaintext: Buffer): Buffer | undefined;
  /** Undefined if `ciphertext` was not made with this key and padding. Its length must be the modulus'. */
  decrypt(algorithm: WrapAlgorithm, ciphertext: Buffer): Promise<Buffer | undefined>;
  /** Undefined if `digest` has not the length of the algorithm's hash. */
  sign(algorithm: SignAlgorithm, digest: Buffer): Buffer | undefined;
  verify(algorithm: SignAlgorithm, digest: Buffer, signature: Buffer): boolean;
  /** With its private part. */
  toJwk(): JsonWebKey;
}

const generate = promisify(generateKeyPair);

/** Makes a key pair, off the event loop: 3072 bits take up to a second. */
export async function generateMaterial(bits: KeySize): Promise<KeyMaterial> {
  const { privateKey } = await generate('rsa', { modulusLength: bits });
  return materialOf(privateKey, bits);
}

/** Reads what `toJwk` gave. */
export function materialFromJwk(jwk: JsonWebKey, bits: KeySize): KeyMaterial {
  return materialOf(createPrivateKey({ key: jwk, format: 'jwk' }), bits);
}

/**
 * Wrapping runs on the event loop, where it costs less (25 to 40 microseconds) than a trip to the thread pool (70); unwrapping takes 250 to 650
 * microseconds either way, and goes to the pool so that the second core can do it.
 */
function materialOf(privateKey: KeyObject, bits: KeySize): KeyMaterial {
  const publicKey = createPublicKey(privateKey);
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  const forOaep = { 'RSA-OAEP-256': oaepDecryptor(privateKey, 'SHA-256'), 'RSA-OAEP': oaepDecryptor(privateKey, 'SHA-1') };
  return {
    bits,
    n,
    e,
    thumbprint: createHash('sha256')
      .update(JSON.stringify({ e, kty: 'RSA', n }))
      .digest('base64url'),
    encrypt: (algorithm, plaintext) => attempt(() => publicEncrypt({ key: publicKey, ...padding[algorithm] }, plaintext)),
    decrypt: (algorithm, ciphertext) =>
      algorithm === 'RSA1_5' ? Promise.resolve(decryptPkcs1(privateKey, ciphertext)) : forOaep[algorithm](ciphertext),
    sign(algorithm, digest) {
      const info = digestInfo(algorithm, digest);
      return info && privateEncrypt({ key: privateKey, padding: constants.RSA_PKCS1_PADDING }, info);
    },
    verify(algorithm, digest, signature) {
      const info = digestInfo(algorithm, digest);
      const signed = attempt(() => publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature));
      return info !== undefined && signed?.length === info.length && timingSafeEqual(signed, info);
    },
    toJwk: () => privateKey.export({ format: 'jwk' }),
  };
}

const padding = {
  'RSA-OAEP-256': { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
  'RSA-OAEP': { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' },
  RSA1_5: { padding: constants.RSA_PKCS1_PADDING },
} as const;

/** The key is imported at the first use: a fleet has far more keys than it unwraps with. */
function oaepDecryptor(privateKey: KeyObject, hash: 'SHA-1' | 'SHA-256'): (ciphertext: Buffer) => Promise<Buffer | undefined> {
  const algorithm = { name: 'RSA-OAEP', hash };
  let imported: Promise<webcrypto.CryptoKey> | undefined;
  return async (ciphertext) => {
    imported ??= webcrypto.subtle.importKey('pkcs8', privateKey.export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['decrypt']);
    const key = await imported;
    try {
      return Buffer.from(await webcrypto.subtle.decrypt(algorithm, key, ciphertext));
    } catch {
      // Web Crypto says no more than "the operation failed", and with a key and a length that fit only the padding is left.
      return undefined;
    }
  };
}

/**
 * RFC 8017 section 7.2.2: 00 02, at least eight bytes that are not zero, 00, the message. OpenSSL itself would answer random bytes to bad
 * padding ("implicit rejection"), where the service answers an error.
 */
function decryptPkcs1(privateKey: KeyObject, ciphertext: Buffer): Buffer | undefined {
  const block = attempt(() => privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, ciphertext));
  if (block?.[0] !== 0 || block[1] !== 2) return undefined;
  const end = block.indexOf(0, 2);
  return end < 10 ? undefined : block.subarray(end + 1);
}

/** RFC 8017 section 9.2, note 1: the DER of a DigestInfo up to the digest itself. */
const digestInfoPrefix = {
  RS256: { length: 32, der: Buffer.from('3031300d060960864801650304020105000420', 'hex') },
  RS384: { length: 48, der: Buffer.from('3041300d060960864801650304020205000430', 'hex') },
  RS512: { length: 64, der: Buffer.from('3051300d060960864801650304020305000440', 'hex') },
} as const;

function digestInfo(algorithm: SignAlgorithm, digest: Buffer): Buffer | undefined {
  const prefix = digestInfoPrefix[algorithm];
  return digest.length === prefix.length ? Buffer.concat([prefix.der, digest]) : undefined;
}

function attempt(operation: () => Buffer): Buffer | undefined {
  try {
    return operation();
  } catch {
    return undefined;
  }
}
