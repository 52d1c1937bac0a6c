/*
 * The order of a vault's queue (B4).
 *
 * First fairness between servers, by start-time fair queueing: each server has a line of its own in virtual time, which counts points. A
 * call starts where its server's call before it ended, or at the virtual time of the call served last, whichever is later. Calls are served
 * by their start, so every server that waits gets the same number of points, whatever the others ask for: one in a loop only lengthens its
 * own line (max-min fairness).
 *
 * Starts are taken in rounds of a few points. Within a round the class decides (unwrap before wrap, both before probe and audit; Business
 * Critical before General Purpose), then the deadline. In a storm where each database asks once, all are in one round, and the class rules.
 *
 * Nothing starves: virtual time moves on at least one round in two seconds, and a call that comes later starts no earlier than that; so a
 * call is overtaken only by what came before it or within two seconds after it, and by callers who come back as they were told. Nor is a
 * newcomer let wait where the supply is promised to others of its class or above who ask for little, though their turn may be later.
 */
import type { Tier } from '../domain/server.ts';

export type AdmissionClass = 'unwrap' | 'wrap' | 'probe' | 'audit';

/** The place of a call in the queue. */
export interface Turn {
  /** Start in virtual time, in points. */
  readonly start: number;
  readonly round: number;
  readonly rank: number;
  /** Monotonic milliseconds by which the call had to start when it came first. */
  readonly deadline: number;
}

/** Points of one server in one round: a Business Critical call, or two of General Purpose. */
export const roundPoints = 5;

/** A round lasts no longer than this. */
const roundMs = 2000;

/** Virtual time goes at least as fast as this, in points a millisecond. */
export const slowestPace = roundPoints / roundMs;

const classRank: Readonly<Record<AdmissionClass, number>> = { unwrap: 0, wrap: 2, probe: 4, audit: 6 };

/** How many ranks there are. */
export const ranks = 8;

/** The order within a round: lower goes first. */
export function rankOf(of: AdmissionClass, tier: Tier): number {
  return classRank[of] + (tier === 'BusinessCritical' ? 0 : 1);
}

/**
 * Where a call starts in virtual time.
 * @param lineEnd where its server's line ends; undefined if it has none.
 * @param virtual the virtual time now.
 */
export function startOf(lineEnd: number | undefined, virtual: number): number {
  return Math.max(lineEnd ?? 0, virtual);
}

export function roundOf(start: number): number {
  return Math.floor(start / roundPoints);
}

/** Negative if `a` goes before `b`. */
export function order(a: Turn, b: Turn): number {
  return a.round - b.round || a.rank - b.rank || a.deadline - b.deadline;
}
