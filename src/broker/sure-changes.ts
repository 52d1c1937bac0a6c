import { linkKey } from '../domain/access.ts';
import type { LinkAccess, LinkRef } from '../domain/access.ts';
import { millis } from '../domain/time.ts';
import type { Parts } from './parts.ts';
import type { Decide, Pictures } from './pictures.ts';

/**
 * Makes a change of a link that must not be lost: it lies over every picture at once, and is stored as soon as it can be, tried again each
 * second. `kind`: what it is a change of. Rejects with `StoreAway`: then it is kept.
 */
export type SureChange = (ref: LinkRef, kind: string, decide: Decide) => Promise<LinkAccess | undefined>;

interface Kept {
  readonly ref: LinkRef;
  readonly overlay: string;
  readonly decide: Decide;
}

interface SureParts extends Pick<Parts, 'clock' | 'log'> {
  readonly pictures: Pick<Pictures, 'overlay' | 'dropOverlay'>;
  /** One try to store a change. */
  readonly change: (ref: LinkRef, decide: Decide) => Promise<LinkAccess | undefined>;
}

const retryAfter = millis(1000);

export function createSureChanges({ clock, log, pictures, change }: SureParts): SureChange {
  const unstored = new Map<string, Kept>();
  let overlays = 0;
  let retrying = false;

  /**
   * Of one link and kind the first and the newest are kept, however often a server asks while the store is away: they hold the time from
   * which its clock runs, and the time that a release must be later than.
   */
  function keep(place: string, kept: Kept): void {
    const at = unstored.has(`${place}|first`) ? `${place}|newest` : `${place}|first`;
    const former = unstored.get(at);
    if (former !== undefined) pictures.dropOverlay(former.overlay);
    unstored.set(at, kept);
  }

  async function retryUnstored(): Promise<void> {
    if (retrying) return;
    retrying = true;
    while (unstored.size > 0) {
      await clock.pause(retryAfter);
      for (const [place, kept] of unstored) {
        const stored = await change(kept.ref, kept.decide).then(
          () => true,
          () => false,
        );
        // The others are tried all the same: one row that is never taken must not keep them out.
        if (!stored) continue;
        pictures.dropOverlay(kept.overlay);
        // A newer one may have taken the place while this one was written.
        if (unstored.get(place) === kept) unstored.delete(place);
      }
    }
    retrying = false;
  }

  return async (ref, kind, decide) => {
    const overlay = String((overlays += 1));
    pictures.overlay(overlay, ref, decide);
    try {
      const stored = await change(ref, decide);
      pictures.dropOverlay(overlay);
      return stored;
    } catch (error) {
      const place = `${linkKey(ref)}|${kind}`;
      // Once a link and kind, not once a request, while the store is away.
      if (!unstored.has(`${place}|first`))
        log('error', 'what was met at a key could not be stored and is kept', { server: ref.server, keyId: ref.keyId, kind });
      keep(place, { ref, overlay, decide });
      void retryUnstored();
      throw error;
    }
  };
}
