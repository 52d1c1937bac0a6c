import { nothing } from '../domain/budget.ts';
import type { Amount } from '../domain/budget.ts';
import { ranks } from '../policy/admission.ts';
import type { Turn } from '../policy/admission.ts';

/** Sums of what waits, by round and rank: tells what goes before a turn without walking the queue. */
export class Backlog {
  readonly #rounds = new Map<number, { readonly points: number[]; readonly service: number[] }>();
  #points = 0;
  #service = 0;

  get total(): Amount {
    return { points: this.#points, service: this.#service };
  }

  add(turn: Turn, cost: Amount): void {
    this.#change(turn, cost.points, cost.service);
  }

  remove(turn: Turn, cost: Amount): void {
    this.#change(turn, -cost.points, -cost.service);
  }

  /** What goes before `turn`, or with it. */
  ahead(turn: Turn): Amount {
    if (this.#points === 0) return nothing;
    let points = 0;
    let service = 0;
    for (const [round, sums] of this.#rounds) {
      if (round > turn.round) continue;
      const last = round < turn.round ? ranks - 1 : turn.rank;
      for (let rank = 0; rank <= last; rank += 1) {
        points += sums.points[rank] ?? 0;
        service += sums.service[rank] ?? 0;
      }
    }
    return { points, service };
  }

  #change({ round, rank }: Turn, points: number, service: number): void {
    const sums = this.#rounds.get(round) ?? { points: new Array<number>(ranks).fill(0), service: new Array<number>(ranks).fill(0) };
    this.#rounds.set(round, sums);
    sums.points[rank] = (sums.points[rank] ?? 0) + points;
    sums.service[rank] = (sums.service[rank] ?? 0) + service;
    this.#points += points;
    this.#service += service;
    if (points < 0 && sums.points.every((sum) => sum === 0)) this.#rounds.delete(round);
  }
}
