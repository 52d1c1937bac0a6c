import type { Observer, World } from '../world/world.ts';
import type { History } from './history.ts';

/** What a law was seen to do, so that a model that proves nothing shows. */
export const countNames = [
  'standbyCalls',
  'fellThrough',
  'canariesAtStandbys',
  'denials',
  'releases',
  'confirmed',
  'backOnline',
  'protectorsChanged',
  'throttled',
  'mustFailOver',
  'partialOutages',
  'answers',
] as const;
export type Counts = Record<(typeof countNames)[number], number>;

/** One law: it hears what happens, and `look` when time has passed. */
export interface Law extends Partial<Observer> {
  look?(): void;
}

/** What a law is made from. */
export interface Bench {
  readonly world: World;
  readonly history: History;
  readonly counts: Counts;
  /** Says that the law was broken. */
  breaks(law: string, detail: string): void;
}

/** How old a picture may be when a standby is called by it (F3). */
export const pictureMs = 1000;
/** Longer than a request lives. */
export const settlesMs = 12_000;
/** Longer than a back-off lasts (F7). */
export const backedOffMs = 40_000;
export const minute = 60_000;
/** F5. */
export const quietMs = 10 * minute;
/** Where wall clocks enter: two instances, two seconds apart either way. */
export const slack = 4000;
