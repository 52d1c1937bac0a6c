import type { Amount } from '../domain/budget.ts';
import { lateMs, stepMs, tagOf } from '../policy/promises.ts';
import type { PlaceElsewhere } from '../policy/promises.ts';

/** Clocks of instances are known to each other a little late: a caller may seem to come so much before its time. */
const earlyMs = 250;

/**
 * The places that other instances keep for callers whom they told to come back (B4). Behind a load balancer such a caller comes to any
 * instance, where it would look like a newcomer and be sent away again.
 */
export class PlacesElsewhere {
  #find: () => ReadonlyMap<string, readonly PlaceElsewhere[]> = () => new Map();
  #places: ReadonlyMap<string, readonly PlaceElsewhere[]> | null = null;
  /** Places whose callers came here, and until when the others may still tell of them. */
  readonly #taken = new Map<string, number>();

  /** The row was read anew. @param find is asked only where somebody must wait. */
  renew(find: () => ReadonlyMap<string, readonly PlaceElsewhere[]>, now: number): void {
    this.#find = find;
    this.#places = null;
    for (const [id, until] of this.#taken) if (until < now) this.#taken.delete(id);
  }

  /** Takes the place of a caller that came here. @returns whether it has one whose time has come. */
  take(server: string, cost: Amount, now: number): boolean {
    this.#places ??= this.#find();
    const places = this.#places.get(tagOf(server, cost)) ?? [];
    const place = places.find(({ id, at }) => at - earlyMs <= now && now < at + stepMs + lateMs && !this.#taken.has(id));
    if (place === undefined) return false;
    this.#taken.set(place.id, place.at + 2 * (stepMs + lateMs));
    return true;
  }
}
