import { createLocalJWKSet, errors, type CryptoKey, type JWTHeaderParameters } from 'jose';
import { minutes, seconds, type Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';

/** GETs a JSON document within a bound of time and size. Rejects for whatever reason it is not there. */
export type ReadJson = (url: string) => Promise<unknown>;

/** The issuer's key set could not be read, and none was known from before. */
export class KeySetAway extends Error {
  override readonly name = 'KeySetAway';
}

type SelectKey = (header: JWTHeaderParameters) => Promise<CryptoKey>;

/** A set older than this is read again in the background; it serves on until the new one is there. */
const maxAge: Millis = minutes(10);
/** The least time between two reads: tokens with invented key ids, or an issuer that is down, cause no storm. */
const cooldown: Millis = seconds(30);

/**
 * The issuer's public keys. Read when first needed, again in the background when old, and again when a token names a key that is not
 * there (rotation). While the issuer is down the last set serves on.
 */
export class KeySet {
  readonly #read: () => Promise<unknown>;
  readonly #clock: Clock;
  #select: SelectKey | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  /** @param read the key set's document. */
  constructor(read: () => Promise<unknown>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /**
   * The key that the header names.
   * @throws KeySetAway without any key set; jose's errors where the set has no such key.
   */
  async key(header: JWTHeaderParameters): Promise<CryptoKey> {
    if (this.#select === undefined) await this.#refresh();
    else if (this.#clock.elapsed() - this.#readAt > maxAge) void this.#refresh();
    const select = this.#select;
    if (select === undefined) throw new KeySetAway('no key set');
    try {
      return await select(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#refresh();
      const newer = this.#select;
      if (newer === undefined || newer === select) throw error;
      return newer(header);
    }
  }

  /** Reads the set unless that was tried just now; calls meanwhile share one read. Never rejects. */
  #refresh(): Promise<void> {
    const now = this.#clock.elapsed();
    // Without any set only the calls under way are spared: the first caller after the issuer's return is served.
    const pause = this.#select === undefined ? seconds(1) : cooldown;
    if (this.#reading === undefined && now - this.#triedAt < pause) return Promise.resolve();
    return (this.#reading ??= this.#load(now));
  }

  async #load(now: number): Promise<void> {
    this.#triedAt = now;
    try {
      this.#select = createLocalJWKSet(checkedSet(await this.#read()));
      this.#readAt = now;
    } catch {
      // The set that is known serves on; without one, `key` says so.
    } finally {
      this.#reading = undefined;
    }
  }
}

/** An empty set would lock everybody out until the next read: it is no answer. */
function checkedSet(document: unknown): { keys: object[] } {
  if (typeof document === 'object' && document !== null && 'keys' in document && Array.isArray(document.keys) && document.keys.length > 0) {
    return { keys: document.keys.filter((key): key is object => typeof key === 'object' && key !== null) };
  }
  throw new TypeError('not a key set');
}

/**
 * Reads the key set from where the issuer's metadata say (OpenID Connect Discovery 1.0, section 4). Metadata that name another issuer
 * are refused (section 4.3).
 */
export function discoveredKeySet(issuer: string, readJson: ReadJson): () => Promise<unknown> {
  return async () => {
    const metadata = await readJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    if (typeof metadata !== 'object' || metadata === null || !('issuer' in metadata) || !('jwks_uri' in metadata))
      throw new TypeError('no metadata');
    if (metadata.issuer !== issuer || typeof metadata.jwks_uri !== 'string') throw new TypeError('metadata of another issuer');
    return readJson(metadata.jwks_uri);
  };
}
