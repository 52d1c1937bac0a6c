import type { ServerState } from '../domain/server.ts';
import { instant } from '../domain/time.ts';
import type { Instant } from '../domain/time.ts';
import { standingAt } from './server-state.ts';
import type { Standing } from './server-state.ts';

/*
 * The order in which people are shown the servers that are not online, and links with a latch. Of servers: those whose databases are down and
 * heal by themselves, then those that will be down, both by the time that is left; then those that wait for people, by how long they do.
 */
const worstFirst: readonly ServerState[] = ['inaccessible', 'atRisk', 'needsRevalidation', 'pendingValidation', 'online'];

/** Where a server stands in that order, by the clocks at `readAt`. The pages of one walk share it, so that time changes no place between them. */
export interface Place {
  readonly readAt: Instant;
  readonly rank: number;
  readonly due: Instant;
  readonly name: string;
}

export function placeOf(server: Standing & { readonly name: string }, readAt: Instant): Place {
  const standing = standingAt(server, readAt);
  return { readAt, rank: worstFirst.indexOf(standing.state), due: dueOf(standing), name: server.name };
}

function dueOf({ state, since, clock }: Standing): Instant {
  if (clock === null) return since;
  if (state === 'inaccessible') return clock.healsUntil;
  return state === 'atRisk' ? clock.inaccessibleAt : since;
}

/** Below 0 where `a` comes first; 0 for one server alone. */
export function comparePlaces(a: Place, b: Place): number {
  return a.rank - b.rank || a.due - b.due || compareText(a.name, b.name);
}

/** A latch that confirms a denial comes before one that only suspects it (F6); of two the older, since its server's clock has less left. */
export interface LatchPlace {
  readonly server: string;
  readonly keyId: string;
  readonly status: 'suspected' | 'confirmed';
  readonly since: Instant;
}

/** Below 0 where `a` comes first. */
export function compareLatches(a: LatchPlace, b: LatchPlace): number {
  if (a.status !== b.status) return a.status === 'confirmed' ? -1 : 1;
  return a.since - b.since || compareText(a.server, b.server) || compareText(a.keyId, b.keyId);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const cursorForm = /^(?<readAt>\d{1,15})~(?<rank>\d)~(?<due>\d{1,15})~(?<name>.+)$/;

export function placeToCursor({ readAt, rank, due, name }: Place): string {
  return `${readAt}~${rank}~${due}~${name}`;
}

/** @returns undefined for what is no cursor of this order. */
export function placeFromCursor(text: string): Place | undefined {
  const { readAt, rank, due, name } = cursorForm.exec(text)?.groups ?? {};
  if (readAt === undefined || rank === undefined || due === undefined || name === undefined) return undefined;
  return { readAt: instant(Number(readAt)), rank: Number(rank), due: instant(Number(due)), name };
}
