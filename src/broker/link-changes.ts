import { linkKey } from '../domain/access.ts';
import type { LinkAccess, LinkChange, LinkRef } from '../domain/access.ts';
import { createTurns } from '../ports/turns.ts';
import type { Parts } from './parts.ts';
import type { Pictures } from './pictures.ts';

/** A change of what is stored of a link; `next: null` removes the row. */
export type DecideLink = (stored: LinkAccess | undefined) => LinkChange;

/** Stores a change. Resolves when it is durable, with what is stored then. Rejects with `StoreAway`. */
export type ChangeLink = (ref: LinkRef, decide: DecideLink) => Promise<LinkAccess | undefined>;

interface LinkChangesParts extends Pick<Parts, 'accessLog' | 'clock'> {
  readonly pictures: Pick<Pictures, 'known' | 'learn' | 'forget'>;
}

/** So many changes at most are written together: their events lie in the same write. */
const mostTogether = 50;

/**
 * Changes of links. Those of one link that come while another is being written are written together, each decided on what those before it
 * left: hundreds of databases that meet one denial in one second must not wait for a write each before they hear of it (F4).
 */
export function createLinkChanges({ accessLog, clock, pictures }: LinkChangesParts): ChangeLink {
  const inTurn = createTurns();
  /** By link: what is to be written when its turn comes. */
  const waiting = new Map<string, { readonly decides: DecideLink[]; readonly written: Promise<LinkAccess | undefined> }>();

  async function write(ref: LinkRef, decides: readonly DecideLink[]): Promise<LinkAccess | undefined> {
    const stored = await accessLog.changeLink(ref, (row) => together(decides, row));
    if (stored === undefined) pictures.forget(ref);
    else pictures.learn(stored);
    return stored;
  }

  /** A row of the link may have been removed: whoever saw that one must take a new one for newer, by whatever clock. */
  function anew(ref: LinkRef, decide: DecideLink): DecideLink {
    return (row) => {
      const change = decide(row);
      if (row !== undefined || change === null || change.next === null) return change;
      const revision = Math.max(clock.now(), (pictures.known(ref)?.revision ?? 0) + 1);
      return { ...change, next: { ...change.next, revision } };
    };
  }

  return (ref, decide) => {
    const key = linkKey(ref);
    const next = waiting.get(key);
    if (next !== undefined && next.decides.length < mostTogether) {
      next.decides.push(anew(ref, decide));
      return next.written;
    }
    const decides = [anew(ref, decide)];
    const written = Promise.resolve().then(() =>
      inTurn(key, () => {
        if (waiting.get(key)?.decides === decides) waiting.delete(key);
        return write(ref, decides);
      }),
    );
    waiting.set(key, { decides, written });
    return written;
  };
}

/** Null where none of them changes anything. */
function together(decides: readonly DecideLink[], stored: LinkAccess | undefined): LinkChange {
  return decides.reduce<LinkChange>((before, decide) => {
    const change = decide(before === null ? stored : (before.next ?? undefined));
    return change === null || before === null ? (change ?? before) : { next: change.next, events: [...before.events, ...change.events] };
  }, null);
}
