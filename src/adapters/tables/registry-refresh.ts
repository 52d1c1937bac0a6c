import type { Registry } from '../../ports/registry.ts';
import type { Clock } from '../../ports/clock.ts';
import { StoreAway, Unreadable } from '../../ports/store.ts';
import { instant, minutes } from '../../domain/time.ts';
import { markersLast, type ChangeFeed } from './change-feed.ts';
import type { RegistryCopy } from './registry-copy.ts';

export interface RefreshParts extends Pick<Registry, 'readServer' | 'readVaults'> {
  readonly clock: Clock;
  readonly feed: ChangeFeed;
  readonly copy: RegistryCopy;
}

/** How many servers are read side by side. */
const readsAtOnce = 8;
/** After so many servers that the store did not answer for it is the store that is away, and each more would only take its time limit. */
const mostUnanswered = 8;
const sweepEvery = minutes(10);

/**
 * Brings the copy up to date: reads the markers since the last refresh, and then again what they name and the copy is concerned with. A marker whose
 * change has landed is done with after one reading; one whose change has not is met again by the next refreshes, until none can follow it.
 * A marker that cannot be read stands for everything. What cannot be read keeps nothing else from being read. Rejects with `StoreAway` where
 * the store did not answer; all is read again then.
 */
export function createRefresh({ clock, feed, copy, readServer, readVaults }: RefreshParts): () => Promise<void> {
  let readUntil = clock.now();
  let sweptAt = clock.elapsed();
  let doneWith: ReadonlySet<string> = new Set();

  return async () => {
    const begun = clock.now();
    // A clock that was set back must not hide the markers that are written now.
    const markers = await feed.since(instant(Math.min(readUntil, begun)));
    const news = markers.filter(({ id }) => !doneWith.has(id));
    const everything = begun - readUntil > markersLast || news.some(({ subject }) => subject.kind === 'anything');
    const named = new Set(everything ? copy.concerned() : []);
    for (const { subject } of news) if (subject.kind === 'server' && copy.concerns(subject.name)) named.add(subject.name);
    const away = await eachOf(named, readServer);
    if (everything || !copy.knowsVaults() || news.some(({ subject }) => subject.kind === 'vaults')) await readVaults();
    if (away !== undefined) throw away;
    doneWith = new Set(markers.filter(({ landed }) => landed).map(({ id }) => id));
    readUntil = begun;
    if (clock.elapsed() - sweptAt >= sweepEvery) {
      sweptAt = clock.elapsed();
      await feed.sweep();
    }
  };
}

/** Runs `work` over all names, some at once. @returns how the store did not answer for one of them. */
async function eachOf(names: ReadonlySet<string>, work: (name: string) => Promise<unknown>): Promise<StoreAway | undefined> {
  const left = names.values();
  const away: StoreAway[] = [];
  const workers = Array.from({ length: Math.min(readsAtOnce, names.size) }, async () => {
    for (const name of left) {
      if (away.length >= mostUnanswered) return;
      try {
        await work(name);
      } catch (error) {
        if (!(error instanceof StoreAway)) throw error;
        // No sooner reading would mend it.
        if (error instanceof Unreadable) continue;
        away.push(error);
      }
    }
  });
  await Promise.all(workers);
  return away[0];
}
