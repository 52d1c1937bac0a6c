import type { LinkRef } from './access.ts';

type Name = Pick<LinkRef, 'server' | 'keyId'>;

/** A map by link. Each operation asks several times: by names that are there already, since to build one of both costs more than to look it up. */
export class LinkMap<T> {
  readonly #servers = new Map<string, Map<string, T>>();

  get({ server, keyId }: Name): T | undefined {
    return this.#servers.get(server)?.get(keyId);
  }

  set({ server, keyId }: Name, value: T): void {
    const links = this.#servers.get(server);
    if (links === undefined) this.#servers.set(server, new Map([[keyId, value]]));
    else links.set(keyId, value);
  }

  /** @returns whether it was there. */
  delete({ server, keyId }: Name): boolean {
    const links = this.#servers.get(server);
    if (links?.delete(keyId) !== true) return false;
    if (links.size === 0) this.#servers.delete(server);
    return true;
  }

  /** All values, those of one server together. */
  *values(): Generator<T> {
    for (const links of this.#servers.values()) yield* links.values();
  }
}
