/** Decodes what the schema has found to be canonical base64url, and what is no secret. */
export function decode(text: string): Uint8Array {
  return Buffer.from(text, 'base64url');
}

/** The same of a secret. Its bytes lie in memory of their own, not in Buffer's shared pool, so that nobody else can reach them. */
export function decodeSecret(text: string): Uint8Array {
  const bytes = Buffer.alloc(Math.floor((text.length * 3) / 4));
  bytes.write(text, 'base64url');
  return bytes;
}

/** Base64url without padding. */
export function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
