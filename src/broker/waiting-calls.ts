import { add } from '../domain/budget.ts';
import type { Amount, Claim } from '../domain/budget.ts';
import type { Millis } from '../domain/time.ts';
import { order } from '../policy/admission.ts';
import type { Turn } from '../policy/admission.ts';
import { marks } from '../policy/claims.ts';
import { Backlog } from './backlog.ts';
import { Heap } from './heap.ts';

/** What a call costs, and the name of its key shape. */
export interface Fare {
  readonly cost: Amount;
  readonly shape: string;
}

/** A call with its place in the order. */
export interface Call {
  readonly server: string;
  readonly turn: Turn;
  readonly cost: Amount;
  /** How long it could wait when it came, in ms. */
  readonly within: number;
  /** Whether its place was kept, because it had been told to come back. */
  readonly booked: boolean;
}

/** A call that waits. */
export interface WaitingCall extends Call {
  /** When it was let in without the row telling of its claim; -Infinity where it is not sent away again. */
  readonly unsureAt: number;
  /** Monotonic milliseconds by which it must start. */
  readonly until: number;
  readonly shape: string;
  readonly answer: (value: undefined | Millis) => void;
}

/** The calls that wait, in their order, with their sums. */
export class WaitingCalls {
  readonly #queue = new Heap<WaitingCall>((a, b) => order(a.turn, b.turn) < 0);
  readonly #backlog = new Backlog();
  readonly #points = new Map<string, number>();
  readonly #due = new DuePoints();
  #firstDeadline = Infinity;
  #newestAt = -Infinity;

  get size(): number {
    return this.#queue.size;
  }

  /** The latest `unsureAt` so far. */
  get newestAt(): number {
    return this.#newestAt;
  }

  get claim(): Claim {
    const { claim } = this.#backlog;
    return this.#due.sum > 0 ? { ...claim, due: this.#due.sum } : claim;
  }

  /** What waits of one server, in points. */
  pointsOf(server: string): number {
    return this.#points.get(server) ?? 0;
  }

  /** The earliest moment by which one of them must start; Infinity if none waits. May be too early, never too late. */
  get firstDeadline(): number {
    return this.#firstDeadline;
  }

  first(): WaitingCall | undefined {
    return this.#queue.peek();
  }

  /** What goes before `turn`, or with it. */
  ahead(turn: Turn): Amount {
    return this.#backlog.ahead(turn);
  }

  push(call: WaitingCall): void {
    this.#queue.push(call);
    this.#newestAt = Math.max(this.#newestAt, call.unsureAt);
    const before = this.pointsOf(call.server);
    this.#backlog.add(call.turn, call.cost, before);
    this.#points.set(call.server, before + call.cost.points);
    if (call.booked) this.#due.change(call.server, call.cost.points);
    this.#firstDeadline = Math.min(this.#firstDeadline, call.until);
  }

  pop(): void {
    const call = this.#queue.pop();
    if (call === undefined) return;
    this.#leave(call);
    if (this.#queue.size === 0) this.#firstDeadline = Infinity;
  }

  /** Takes out those that must start by `now`. @returns them in their order. */
  takeExpired(now: number): readonly WaitingCall[] {
    return this.#take(({ until }) => until <= now);
  }

  /**
   * Takes out those that cannot be served in time; their part of the supply goes to those behind them.
   * @param startAt when a call of a server starts that has so much before it, itself included.
   * @param came those that were unsure in this time, both ends included.
   */
  takeHopeless(
    startAt: (load: Amount, server: string) => number,
    came: { readonly from: number; readonly to: number },
  ): readonly WaitingCall[] {
    if (this.#newestAt < came.from) return [];
    const hopeless = new Set<WaitingCall>();
    let load: Amount = { points: 0, service: 0 };
    for (const call of [...this.#queue.values()].sort((a, b) => order(a.turn, b.turn))) {
      const withIt = add(load, call.cost);
      if (call.unsureAt >= came.from && call.unsureAt <= came.to && startAt(withIt, call.server) > call.until) hopeless.add(call);
      else load = withIt;
    }
    return this.#take((call) => hopeless.has(call));
  }

  #leave({ server, turn, cost, booked }: WaitingCall): void {
    const rest = this.pointsOf(server) - cost.points;
    if (booked) this.#due.change(server, -cost.points);
    this.#backlog.remove(turn, cost, rest);
    if (rest > 0) this.#points.set(server, rest);
    else this.#points.delete(server);
  }

  #take(which: (call: WaitingCall) => boolean): readonly WaitingCall[] {
    const taken = this.#queue.sweep(which).sort((a, b) => order(a.turn, b.turn));
    for (const call of taken) this.#leave(call);
    this.#firstDeadline = Infinity;
    for (const { until } of this.#queue.values()) this.#firstDeadline = Math.min(this.#firstDeadline, until);
    return taken;
  }
}

/** What waits of callers who came back as they were told: of each server no more than up to the first mark (policy/claims.ts). */
class DuePoints {
  readonly #servers = new Map<string, number>();
  #sum = 0;

  get sum(): number {
    return this.#sum;
  }

  change(server: string, by: number): void {
    const before = this.#servers.get(server) ?? 0;
    const after = before + by;
    this.#sum += Math.min(after, marks[0]) - Math.min(before, marks[0]);
    if (after > 0) this.#servers.set(server, after);
    else this.#servers.delete(server);
  }
}
