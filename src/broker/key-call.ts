import type { LinkRef } from '../domain/access.ts';
import type { Attempt, Refusal } from '../domain/refusal.ts';
import type { Group, RegisteredServer, Tier } from '../domain/server.ts';
import type { Millis } from '../domain/time.ts';
import type { KeyTarget, Reply } from '../ports/vault.ts';
import type { Access } from './access.ts';
import type { Outages } from './outages.ts';
import type { Parts } from './parts.ts';
import type { Witness } from './witness.ts';

/** One key operation that wants to be tried at links. */
export interface KeyCall<T> {
  readonly registered: RegisteredServer;
  readonly operation: 'wrapKey' | 'unwrapKey';
  readonly tier: Tier;
  /** Monotonic milliseconds by which the answer must be there. */
  readonly deadline: number;
  /** Calls the vault, within so many milliseconds. */
  readonly send: (target: KeyTarget, within: Millis) => Promise<Reply<T>>;
  /** Joins a try of the very same call at this link that is under way, or starts one (C4); absent: each call is its own. */
  readonly share?: (target: LinkRef, start: Start<T>) => Promise<Tried<T>>;
  /** The rewrap of which this is one half; absent: it is a call of its own. */
  readonly rewrap?: Rewrap;
}

/** What the two halves of a rewrap know of each other. */
export interface Rewrap {
  /** The group that the wrap goes to. */
  readonly to: Group;
  /** The vault where there is room for the wrap; null: nowhere, or the wrap was let through by it. */
  room: { readonly vault: string; readonly at: number } | null;
}

/** @param waited whether the try of another was waited for first: what was asked before it is old by now. */
export type Start<T> = (waited: boolean) => Promise<Tried<T>>;

/** What came of one try at one link. */
export type Tried<T> =
  | { readonly kind: 'served'; readonly value: T; readonly attempt: Attempt }
  /** An outage, or an open circuit: a standby may be asked, if the gate allows it. */
  | { readonly kind: 'outage'; readonly attempt: Attempt }
  /** `leadsOn`: where this was a standby that was called, the next one may be asked. */
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly attempt: Attempt | null; readonly leadsOn?: boolean };

/** What trying a link is built from. */
export interface AttemptParts {
  readonly parts: Parts;
  readonly access: Access;
  readonly outages: Outages;
  readonly witness: Witness;
}
