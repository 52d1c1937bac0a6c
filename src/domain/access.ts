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
}

export interface RefusedOperation {
  readonly since: Instant;
  readonly finding: 'WrapDenied' | 'GetDenied' | 'KeyExpired';
}

/** What is known of a vault as a whole. */
export interface VaultHealth {
  /** First outage after the vault's last success; null while it answers (F3). */
  readonly outageSince: Instant | null;
  /** Instances whose circuit to this vault is open, with the time of opening: opening and closing is one event a vault (F2). */
  readonly openAt: Readonly<Record<string, Instant>>;
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
