import { roundOf, slowestPace, startOf } from '../policy/admission.ts';
import type { Turn } from '../policy/admission.ts';

/** Servers whose line is remembered at once; beyond that, lines that are over are forgotten. */
const manyLines = 4096;

/** The lines of a vault's servers in virtual time (policy/admission.ts). */
export class Lines {
  readonly #windowMs: number;
  readonly #ends = new Map<string, { end: number; at: number }>();
  #virtual = 0;
  #virtualAt = 0;

  /** @param windowMs after which what a server used is forgotten. */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Where a server's next call starts. */
  startFor(server: string, now: number): number {
    const line = this.#ends.get(server);
    return startOf(line === undefined || now - line.at > this.#windowMs ? undefined : line.end, this.#time(now));
  }

  /** Lengthens a server's line by the call that starts there: it was let through, or waits, or has a place. */
  join(server: string, start: number, points: number, now: number): void {
    const line = this.#ends.get(server);
    if (line === undefined) this.#remember(server, start + points, now);
    else {
      line.end = start + points;
      line.at = now;
    }
  }

  /** Shortens a server's line by a call that never came back: it is not held against its next ones. */
  leave(server: string, points: number): void {
    const line = this.#ends.get(server);
    if (line !== undefined) line.end -= points;
  }

  /** The call that starts here was served. */
  served(start: number): void {
    this.#virtual = Math.max(this.#virtual, start);
  }

  turn(start: number, rank: number, deadline: number): Turn {
    return { start, round: roundOf(start), rank, deadline };
  }

  #time(now: number): number {
    this.#virtual += Math.max(0, now - this.#virtualAt) * slowestPace;
    this.#virtualAt = now;
    return this.#virtual;
  }

  #remember(server: string, end: number, now: number): void {
    if (this.#ends.size >= manyLines) {
      for (const [name, line] of this.#ends) {
        if (now - line.at > this.#windowMs || line.end <= this.#virtual) this.#ends.delete(name);
      }
    }
    this.#ends.set(server, { end, at: now });
  }
}
