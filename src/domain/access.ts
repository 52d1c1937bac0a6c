import type { BrokerEvent } from './event.ts';
import type { DenialClass, Reach } from './fault.ts';
import type { KeyId } from './key.ts';
import type { Instant } from './time.ts';

/** Which link of which server. */
export interface LinkRef {
  readonly server: string;
  readonly keyId: KeyId;
  readonly vault: string;
  /** Client id of the identity that calls for this server; null: the broker's own. */
  readonly identity: string | null;
}

/** A denial of unwrap at a link with no later proof there (F4–F6). */
export interface Latch {
  readonly status: 'suspected' | 'confirmed';
  readonly class: DenialClass;
  /** When the first denial was received: the server's clock counts from here. */
  readonly firstDenialAt: Instant;
  /** When the newest denial was received: only an unwrap sent later releases (F5). */
  readonly newestDenialAt: Instant;
  /** How many denials were seen, the first among them. */
  readonly witnesses: number;
  /**
   * Changes with each stored denial. A success releases the latch only if its call was sent by an instance that already knew this very
   * generation: then it was sent after the newest denial (F5), whatever the clocks of two instances say.
   */
  readonly generation: string;
  /** Code of the newest denial, for people. */
  readonly code: string | null;
}

/**
 * What is known of access at one link: one row of the store, changed as a whole.
 * Denials are kept by reach and outlive the latch: they void proofs of other links and hold failover back for ten minutes.
 */
export interface LinkAccess {
  readonly ref: LinkRef;
  readonly latch: Latch | null;
  /** Newest denial of each reach that was met at this link, of any operation. */
  readonly denials: Readonly<Partial<Record<Reach, Instant>>>;
  /** When the newest unwrap that succeeded here was sent. */
  readonly provenAt: Instant | null;
  /** When an answer that may hide a denial was received last (F1). */
  readonly doubtedAt: Instant | null;
  /** Operations other than unwrap that are refused here while unwrap works: they do not fail over until they succeed here (F4). */
  readonly refused: Readonly<Partial<Record<'wrapKey' | 'get', RefusedOperation>>>;
  /**
   * Grows by one with each stored change: of two sights of the row, the one with the higher revision is newer. A row that is stored anew
   * begins at the milliseconds of the wall clock, so that it is newer than any sight of one that was removed.
   */
  readonly revision: number;
}

export interface RefusedOperation {
  readonly since: Instant;
  readonly finding: 'WrapDenied' | 'GetDenied' | 'KeyExpired';
  /** An event told of it, so that one must tell of its end. What an audit meets, the audit tells of. */
  readonly told?: boolean;
}

/** What is known of a vault as a whole. */
export interface VaultHealth {
  /** First outage after the vault's last success; null while it answers (F3). */
  readonly outageSince: Instant | null;
  /**
   * When the call was sent whose answer ended the last outage; of a denial, which ends none, when it was received. Absent where there was no
   * outage, and from the newest one on until the vault has answered.
   */
  readonly answeredAt?: Instant;
  /** Instances whose circuit to this vault is open, with the time of opening: opening and closing is one event a vault (F2). */
  readonly openAt: Readonly<Record<string, Instant>>;
  /** When the first operation of this outage was served by a standby; null while none was, and again once the vault has answered for a while. */
  readonly failoverSince: Instant | null;
}

/** A vault of which nothing is stored. */
export const soundVault: VaultHealth = { outageSince: null, openAt: {}, failoverSince: null };

/** A link of which nothing is stored. */
export function untriedLink(ref: LinkRef): LinkAccess {
  return { ref, latch: null, denials: {}, provenAt: null, doubtedAt: null, refused: {}, revision: 0 };
}

/** Names the link in maps and rows. */
export function linkKey(ref: Pick<LinkRef, 'server' | 'keyId'>): string {
  return `${ref.server}|${ref.keyId}`;
}

/** Names the access that links with the same key id and identity share: they share proofs and witnesses (F3, F6). */
export function accessKey(ref: Pick<LinkRef, 'keyId' | 'identity'>): string {
  return `${ref.keyId}|${ref.identity ?? ''}`;
}

/** All that the gate needs of one vault, as one read gave it. */
export interface AccessPicture {
  readonly vault: string;
  readonly health: VaultHealth;
  readonly links: readonly LinkAccess[];
  /** When the read was begun: nothing that was stored before is missing. */
  readonly readAt: Instant;
}

/** What a pure change of stored state answers: the new value and the events that tell of it. Null: nothing changes, nothing is written. */
export type Change<T> = { readonly next: T; readonly events: readonly BrokerEvent[] } | null;

/** As `Change` of what is stored of a link; `next: null` removes the row. */
export type LinkChange = { readonly next: LinkAccess | null; readonly events: readonly BrokerEvent[] } | null;

/** True where both name the same link of the same server. */
export function sameLink(a: Pick<LinkRef, 'server' | 'keyId'>, b: Pick<LinkRef, 'server' | 'keyId'>): boolean {
  return a.keyId === b.keyId && a.server === b.server;
}

/** True where both share their access: the same key id by the same identity. */
export function sameAccess(a: Pick<LinkRef, 'keyId' | 'identity'>, b: Pick<LinkRef, 'keyId' | 'identity'>): boolean {
  return a.keyId === b.keyId && a.identity === b.identity;
}
