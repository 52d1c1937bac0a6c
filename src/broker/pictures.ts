import { sameLink } from '../domain/access.ts';
import type { AccessPicture, Change, LinkAccess, LinkRef, VaultHealth } from '../domain/access.ts';
import { LinkMap } from '../domain/link-map.ts';
import type { Millis } from '../domain/time.ts';
import { StoreAway } from '../ports/store.ts';
import type { Parts } from './parts.ts';

/**
 * Pictures of vaults, at most `pictureMaxAgeMs` old, each read once for all who ask meanwhile. What this instance stored after a picture
 * was read, and what it could not store yet, lies over it.
 */
export interface Pictures {
  read(vault: string): Promise<AccessPicture>;
  /**
   * The vaults as they are seen at one moment, the one at which this resolves: no picture has grown old, nor misses what this instance has
   * met, while another was read.
   */
  readAll(...vaults: Three<string>): Promise<Three<AccessPicture>>;
  known(ref: LinkRef): LinkAccess | undefined;
  /** As last read or learnt; undefined if nothing is known. */
  health(vault: string): VaultHealth | undefined;
  /** The same, unless it is older than a picture may be. */
  youngHealth(vault: string): VaultHealth | undefined;
  /** True once the vault was read. */
  wasRead(vault: string): boolean;
  /** This instance stored the row, or was told what is stored. */
  learn(access: LinkAccess): void;
  /** The row was removed. */
  forget(ref: LinkRef): void;
  learnHealth(vault: string, health: VaultHealth): void;
  /** Lays a change that is not stored yet over every picture, over whatever is stored by then, until it is dropped. */
  overlay(id: string, ref: LinkRef, decide: Decide): void;
  dropOverlay(id: string): void;
}

/** Of the vaults of a primary, of its standby and of the server's protector, which may be the same. */
export type Three<T> = readonly [T, T, T];

/** A change of what is known of a link, decided on what is stored. */
export type Decide = (stored: LinkAccess | undefined) => Change<LinkAccess>;

interface Seen {
  /** Monotonic time at which the read was begun. */
  readonly begunAt: Millis;
  readonly picture: AccessPicture;
  readonly byLink: LinkMap<LinkAccess>;
}

export function createPictures({ accessLog, clock, rules }: Pick<Parts, 'accessLog' | 'clock' | 'rules'>): Pictures {
  const seen = new Map<string, Seen>();
  const reading = new Map<string, Promise<Seen>>();
  const learnt = new LinkMap<{ readonly at: Millis; readonly access: LinkAccess }>();
  const healths = new Map<string, { readonly at: Millis; readonly health: VaultHealth }>();
  const overlays = new Map<string, { readonly ref: LinkRef; readonly decide: Decide }>();

  async function readNow(vault: string): Promise<Seen> {
    const begunAt = clock.elapsed();
    const picture = await accessLog.read(vault);
    const byLink = linksOf(picture);
    for (const { at, access } of learnt.values()) {
      if (access.ref.vault !== vault) continue;
      // A row that was stored before the read began is in it, unless another instance changed it since: then the read is right.
      if (at >= begunAt && newer(access, byLink.get(access.ref))) byLink.set(access.ref, access);
      else learnt.delete(access.ref);
    }
    const own = healths.get(vault);
    // Health has no revision: what was learnt while the read was under way may be missing in it.
    const health = own !== undefined && own.at >= begunAt ? own.health : picture.health;
    if (health === picture.health) healths.set(vault, { at: begunAt, health });
    const fresh = { begunAt, picture: { ...picture, health, links: [...byLink.values()] }, byLink };
    seen.set(vault, fresh);
    return fresh;
  }

  function readShared(vault: string): Promise<Seen> {
    const underWay = reading.get(vault);
    if (underWay !== undefined) return underWay;
    const read = readNow(vault).finally(() => reading.delete(vault));
    reading.set(vault, read);
    return read;
  }

  function young(one: Seen | undefined): one is Seen {
    return one !== undefined && clock.elapsed() - one.begunAt <= rules.pictureMaxAgeMs;
  }

  function withOverlays({ picture }: Seen): AccessPicture {
    const here = [...overlays.values()].map(({ ref }) => ref).filter(({ vault }) => vault === picture.vault);
    if (here.length === 0) return picture;
    const once = new LinkMap<LinkRef>();
    for (const ref of here) once.set(ref, ref);
    const byLink = linksOf(picture);
    for (const ref of once.values()) {
      const access = overlaid(ref, byLink.get(ref));
      if (access !== undefined) byLink.set(ref, access);
    }
    return { ...picture, links: [...byLink.values()] };
  }

  /** The row with what is not stored yet, in the order in which it was met. */
  function overlaid(ref: LinkRef, stored: LinkAccess | undefined): LinkAccess | undefined {
    if (overlays.size === 0) return stored;
    let access = stored;
    for (const own of overlays.values()) if (sameLink(own.ref, ref)) access = own.decide(access)?.next ?? access;
    return access;
  }

  /** Reads those that are not young; resolves when all are, at that moment. */
  async function freshen(...vaults: readonly string[]): Promise<void> {
    // One who joins a read that began long ago may find it too old already, and reads once more.
    for (let tries = 0; tries < 3; tries++) {
      const old = vaults.filter((vault) => !young(seen.get(vault)));
      if (old.length === 0) return;
      if (tries < 2) await Promise.all(old.map(readShared));
    }
    throw new StoreAway(`reading the access log of ${vaults.join(' and ')} takes longer than a picture may be old`);
  }

  function current(vault: string): AccessPicture {
    const last = seen.get(vault);
    if (last === undefined) throw new StoreAway(`the access log of ${vault} was never read`);
    return withOverlays(last);
  }

  return {
    async read(vault) {
      await freshen(vault);
      return current(vault);
    },

    async readAll(first, second, third) {
      await freshen(first, second, third);
      return [current(first), current(second), current(third)];
    },

    known: (ref) => overlaid(ref, learnt.get(ref)?.access ?? seen.get(ref.vault)?.byLink.get(ref)),

    health: (vault) => healths.get(vault)?.health,
    wasRead: (vault) => seen.has(vault),

    youngHealth(vault) {
      const known = healths.get(vault);
      return known !== undefined && clock.elapsed() - known.at <= rules.pictureMaxAgeMs ? known.health : undefined;
    },

    learn(access) {
      const { ref } = access;
      // A late answer to an own write says less than a read that was made since.
      if (!newer(access, seen.get(ref.vault)?.byLink.get(ref))) return;
      learnt.set(ref, { at: clock.elapsed(), access });
      const last = seen.get(ref.vault);
      if (last === undefined) return;
      last.byLink.set(ref, access);
      seen.set(ref.vault, { ...last, picture: { ...last.picture, links: [...last.byLink.values()] } });
    },

    forget(ref) {
      learnt.delete(ref);
      const last = seen.get(ref.vault);
      if (last?.byLink.delete(ref)) seen.set(ref.vault, { ...last, picture: { ...last.picture, links: [...last.byLink.values()] } });
    },

    learnHealth(vault, health) {
      healths.set(vault, { at: clock.elapsed(), health });
      const last = seen.get(vault);
      if (last !== undefined) seen.set(vault, { ...last, picture: { ...last.picture, health } });
    },

    overlay: (id, ref, decide) => void overlays.set(id, { ref, decide }),
    dropOverlay: (id) => void overlays.delete(id),
  };
}

function newer(own: LinkAccess, read: LinkAccess | undefined): boolean {
  return read === undefined || own.revision > read.revision;
}

function linksOf({ links }: AccessPicture): LinkMap<LinkAccess> {
  const byLink = new LinkMap<LinkAccess>();
  for (const access of links) byLink.set(access.ref, access);
  return byLink;
}
