import type { Registry } from '../../ports/registry.ts';
import type { Clock } from '../../ports/clock.ts';
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
const sweepEvery = minutes(10);

/**
 * Brings the copy up to date: reads the markers since the last refresh, and then again what they name and the copy is concerned with. A marker whose
 * change has landed is done with after one reading; one whose change has not is met again by the next refreshes, until none can follow it.
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
    const missedSome = begun - readUntil > markersLast;
    const named = new Set(missedSome ? copy.serverNames() : []);
    for (const { subject } of news) if (subject.kind === 'server' && copy.concerns(subject.name)) named.add(subject.name);
    await eachOf(named, readServer);
    if (missedSome || !copy.knowsVaults() || news.some(({ subject }) => subject.kind === 'vaults')) await readVaults();
    doneWith = new Set(markers.filter(({ landed }) => landed).map(({ id }) => id));
    readUntil = begun;
    if (clock.elapsed() - sweptAt >= sweepEvery) {
      sweptAt = clock.elapsed();
      await feed.sweep();
    }
  };
}

/** Runs `work` over all names, some at once; rejects when one rejects. */
async function eachOf(names: ReadonlySet<string>, work: (name: string) => Promise<unknown>): Promise<void> {
  const left = names.values();
  const workers = Array.from({ length: Math.min(readsAtOnce, names.size) }, async () => {
    for (const name of left) await work(name);
  });
  await Promise.all(workers);
}
