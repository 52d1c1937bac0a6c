const hidden = '[DEK]';

/**
 * The plaintext bytes of a Data Encryption Key. They show in no log, error or JSON, and `zero` wipes them (law C4).
 * Whoever makes a Dek zeroes it, in a `finally`.
 */
export class Dek {
  readonly #bytes: Uint8Array;

  /** Takes the bytes over: the caller must keep no copy. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /**
   * The DEK that stands in base64url, which has been checked. Its bytes lie in memory of their own, not in Buffer's shared pool, so that nobody
   * else can reach them.
   */
  static decode(text: string): Dek {
    const bytes = Buffer.alloc(Math.floor((text.length * 3) / 4));
    bytes.write(text, 'base64url');
    return new Dek(bytes);
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, not a copy: they turn to zeros when `zero` is called. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  zero(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return hidden;
  }
}

/** A DEK wrapped by a KEK: ciphertext, as long as the KEK's modulus. */
export type WrappedDek = Uint8Array;
