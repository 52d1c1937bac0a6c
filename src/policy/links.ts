import type { KeyId, Thumbprint } from '../domain/key.ts';
import type { Link } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';

/*
 * K5: how the links of a server change. A key id is linked once; where it would have two roles the newer linking decides. What a DEK may
 * still be wrapped with is never dropped here, only by `withoutGroup`, which a person confirms.
 */

/**
 * A new protector with its standbys. The former one stays as additional, with its time span and its standbys. Whatever role a key gets, the
 * time in which it was the protector stays with it: backups of that time need it.
 */
export function replaceProtector(links: readonly Link[], primary: Link, standbys: readonly Link[], now: Instant): readonly Link[] {
  const past = links.map((link) => (link.role === 'protector' ? retired(link, now) : link));
  const spanOf = (keyId: KeyId): Span | undefined => past.find((link) => link.keyId === keyId);
  const protector: Link = { ...primary, role: 'protector', protectorFrom: spanOf(primary.keyId)?.protectorFrom ?? now, protectorTo: null };
  const named = standbys.map((standby): Link => ({ ...standby, ...pickSpan(spanOf(standby.keyId) ?? standby) }));
  const renamed = new Set<KeyId>([protector, ...named].map((link) => link.keyId));
  // Standbys of the very protector that is set again are replaced by the new list; those of former ones stay with them.
  const kept = past.filter((link) => !renamed.has(link.keyId) && link.standbyOf !== protector.keyId);
  return adopted([protector, ...named, ...kept]);
}

type Span = Pick<Link, 'protectorFrom' | 'protectorTo'>;

function pickSpan({ protectorFrom, protectorTo }: Span): Span {
  return { protectorFrom, protectorTo };
}

function retired(former: Link, now: Instant): Link {
  return { ...former, role: 'additional', protectorTo: now };
}

/**
 * Standbys whose primary became a standby itself, when the roles of two vaults were swapped, go to the primary of the same material: a
 * standby has no standby (K1).
 */
function adopted(links: readonly Link[]): readonly Link[] {
  return links.map((link) => {
    if (link.standbyOf === null || links.some((other) => other.keyId === link.standbyOf && other.role !== 'standby')) return link;
    const primary = links.find((other) => other.role !== 'standby' && other.thumbprint === link.thumbprint);
    return primary === undefined ? { ...link, role: 'additional', standbyOf: null, rank: 0 } : { ...link, standbyOf: primary.keyId };
  });
}

/** The key id as it is linked: links that were stored before ids were lower-cased keep their spelling, and are the same key (K5). */
export function spelledAsLinked(links: readonly Link[], keyId: KeyId): KeyId {
  if (links.some((link) => link.keyId === keyId)) return keyId;
  return links.find((link) => link.keyId.toLowerCase() === keyId)?.keyId ?? keyId;
}

/** One more additional key with its standbys. */
export function withAdditional(links: readonly Link[], primary: Link, standbys: readonly Link[]): readonly Link[] {
  return [...links, { ...primary, role: 'additional' }, ...standbys];
}

/** Without the group of this thumbprint. */
export function withoutGroup(links: readonly Link[], thumbprint: Thumbprint): readonly Link[] {
  return links.filter((link) => link.thumbprint !== thumbprint);
}
