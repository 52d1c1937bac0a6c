/** Decodes what the schema has found to be canonical base64url, and what is no secret: a DEK has `Dek.decode`. */
export function decode(text: string): Uint8Array {
  return Buffer.from(text, 'base64url');
}

/** Base64url without padding. */
export function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
