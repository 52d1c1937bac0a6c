import { linkKey } from '../domain/access.ts';
import type { AccessPicture, LinkAccess, LinkRef } from '../domain/access.ts';
import { span } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { operationAllowed } from '../policy/denial.ts';
import type { Parts } from './parts.ts';
import type { Decide } from './pictures.ts';
import { createWraps } from './proofs.ts';
import type { Proofs } from './proofs.ts';

/** F4: the wraps that succeeded at this instance, and the refusals of wrap that they have outlived. */
export interface OwnWraps extends Pick<Proofs, 'note' | 'forget'> {
  /** What `read` gives, without the refusals of wrap that this instance's own wraps have outlived. */
  fresh<T>(read: () => Promise<T>, picturesOf: (value: T) => readonly AccessPicture[]): Promise<T>;
}

interface OwnWrapsParts extends Pick<Parts, 'clock' | 'rules'> {
  /** Stores a change if it can be. Does not reject for a store that is away. */
  readonly change: (ref: LinkRef, decide: Decide) => Promise<void>;
}

export function createOwnWraps({ clock, rules, change }: OwnWrapsParts): OwnWraps {
  let wraps = { clockOffset: wallClockOffset(), newest: createWraps() };
  const ending = new Map<string, Promise<void>>();

  function wallClockOffset(): number {
    return clock.now() - clock.elapsed();
  }

  /** A wall clock that was set since makes them worthless: they cannot be placed before or after a refusal. */
  function kept(): Proofs {
    const clockOffset = wallClockOffset();
    if (Math.abs(clockOffset - wraps.clockOffset) > rules.gate.clockSkewMs) wraps = { clockOffset, newest: createWraps() };
    return wraps.newest;
  }

  /**
   * When the newest wrap was sent that succeeded at the link after a refusal of wrap was stored by an instance that did not know of it; null
   * if none did. Clocks of two instances are compared here, so it counts only from their skew on.
   */
  function wrappedSince({ ref, refused: { wrapKey } }: LinkAccess): Instant | null {
    const sentAt = wrapKey === undefined ? null : kept().newest(ref);
    return wrapKey !== undefined && sentAt !== null && span(wrapKey.since, sentAt) > rules.gate.clockSkewMs ? sentAt : null;
  }

  /** Stored before anything rests on it, once for all who ask meanwhile. */
  function endRefusal(ref: LinkRef): Promise<void> {
    const key = linkKey(ref);
    const underWay = ending.get(key);
    if (underWay !== undefined) return underWay;
    const decide: Decide = (access) => {
      const sentAt = access === undefined ? null : wrappedSince(access);
      return sentAt === null ? null : operationAllowed(access, 'wrapKey', sentAt);
    };
    const end = change(ref, decide).finally(() => ending.delete(key));
    ending.set(key, end);
    return end;
  }

  return {
    note: (ref, sentAt) => kept().note(ref, sentAt),
    forget: (ref) => kept().forget(ref),
    async fresh(read, picturesOf) {
      const value = await read();
      const outlived = picturesOf(value).flatMap(({ links }) => links.filter((access) => wrappedSince(access) !== null));
      if (outlived.length === 0) return value;
      await Promise.all(outlived.map(({ ref }) => endRefusal(ref)));
      return read();
    },
  };
}
