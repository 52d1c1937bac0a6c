import { least, most, nothing } from '../domain/budget.ts';
import type { Amount, Claim } from '../domain/budget.ts';
import { ranks } from '../policy/admission.ts';
import type { Turn } from '../policy/admission.ts';
import { claimOf, marks, partTo } from '../policy/claims.ts';

/** Sums of what waits, by round and rank: tells what goes before a turn without walking the queue. */
export class Backlog {
  readonly #rounds = new Map<number, { readonly points: number[]; readonly service: number[] }>();
  readonly #upTo = marks.map(() => 0);
  #points = 0;
  #service = 0;

  get total(): Amount {
    return { points: this.#points, service: this.#service };
  }

  get claim(): Claim {
    return claimOf(this.total, [...this.#upTo]);
  }

  /** @param claimed what the call's server claims before it, in points. */
  add(turn: Turn, cost: Amount, claimed: number): void {
    this.#change(turn, cost.points, cost.service);
    this.#mark(claimed, cost.points, 1);
  }

  /** @param claimed as it was added; or, where they are of equal worth, what the server claims without it. */
  remove(turn: Turn, cost: Amount, claimed: number): void {
    this.#change(turn, -cost.points, -cost.service);
    this.#mark(claimed, cost.points, -1);
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

  /**
   * What goes before `turn`; or, where that is more, what lies up to the first mark (policy/claims.ts) and is of no later class, whatever its
   * turn: what was announced to servers that ask for little holds.
   */
  keptFrom(turn: Turn): Amount {
    return most(this.ahead(turn), least(this.#ofRank(turn.rank), partTo(this.claim, 0)));
  }

  #ofRank(rank: number): Amount {
    let [points, service] = [0, 0];
    for (const sums of this.#rounds.values()) {
      for (let one = 0; one <= rank; one += 1) {
        points += sums.points[one] ?? 0;
        service += sums.service[one] ?? 0;
      }
    }
    return { points, service };
  }

  #mark(claimed: number, points: number, sign: 1 | -1): void {
    for (const [mark, most] of marks.entries()) {
      const part = Math.min(claimed + points, most) - Math.min(claimed, most);
      this.#upTo[mark] = (this.#upTo[mark] ?? 0) + sign * part;
    }
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
