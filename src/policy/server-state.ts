import type { Latch } from '../domain/access.ts';
import type { AccessClock, Server, ServerState } from '../domain/server.ts';
import { plus, span } from '../domain/time.ts';
import type { Instant, Millis } from '../domain/time.ts';

/*
 * A1–A6. A server's state follows from the latch on its protector and from time; nothing else moves it but people.
 *
 *   pendingValidation ──protector accepted, or revalidate where it has an origin──▶ online
 *   online ──latch confirmed──▶ atRisk ──10 min after the first denial──▶ inaccessible ──8 h after it──▶ needsRevalidation
 *   atRisk, inaccessible ──latch released──▶ online          inaccessible, needsRevalidation ──revalidate──▶ online
 *
 * An outage moves nothing (A4): databases come back by themselves.
 */

/** What may be done to a server. */
export type Act = 'operate' | 'setProtector' | 'linkAdditional' | 'dropKey' | 'registerDatabase' | 'revalidate' | 'delete';

const always: readonly Act[] = ['linkAdditional', 'registerDatabase', 'delete'];

/**
 * What each state allows (A6). Registering a database is bookkeeping of B1 and no key operation: a restored server's databases are
 * registered before it is validated.
 */
export const allowed: Readonly<Record<ServerState, readonly Act[]>> = {
  pendingValidation: [...always, 'setProtector', 'revalidate'],
  online: [...always, 'operate', 'setProtector', 'dropKey'],
  atRisk: [...always, 'operate', 'setProtector', 'dropKey'],
  inaccessible: [...always, 'revalidate'],
  needsRevalidation: [...always, 'revalidate'],
};

/** The numbers of A2 and A3. */
export interface StateRules {
  readonly inaccessibleAfterMs: Millis;
  readonly healsWithinMs: Millis;
}

export interface Standing {
  readonly state: ServerState;
  readonly since: Instant;
  readonly clock: AccessClock | null;
}

/** The state that the clock alone brings about by `now`: `atRisk` and `inaccessible` run on without anyone's doing (A2, A3). */
export function standingAt(server: Standing, now: Instant): Standing {
  const { state, clock } = server;
  if (clock === null) return server;
  if (state === 'inaccessible' || state === 'atRisk') {
    if (span(clock.healsUntil, now) >= 0) return { state: 'needsRevalidation', since: clock.healsUntil, clock };
  }
  if (state === 'atRisk' && span(clock.inaccessibleAt, now) >= 0) return { state: 'inaccessible', since: clock.inaccessibleAt, clock };
  return server;
}

/** The state that follows from the latch on the protector as it is stored now. */
export function standingUnder(latch: Latch | null, server: Standing, now: Instant, rules: StateRules): Standing {
  const standing = standingAt(server, now);
  if (standing.state === 'online' && latch?.status === 'confirmed') {
    return standingAt({ state: 'atRisk', since: now, clock: clockFrom(latch.firstDenialAt, rules) }, now);
  }
  const healing = standing.state === 'atRisk' || standing.state === 'inaccessible';
  return healing && latch === null ? online(now) : standing;
}

/** Online from `now` on: what revalidate and an accepted protector bring about. */
export function online(now: Instant): Standing {
  return { state: 'online', since: now, clock: null };
}

/** The standing after K4 accepted a protector: of another thumbprint, it ends `atRisk` (A2); without origin, it ends `pendingValidation` (A1). */
export function standingWithProtector(server: Server, otherThumbprint: boolean, now: Instant): Standing {
  const standing = standingAt(server, now);
  const accepted = (standing.state === 'pendingValidation' && server.origin === null) || (standing.state === 'atRisk' && otherThumbprint);
  return accepted ? online(now) : standing;
}

function clockFrom(firstDenialAt: Instant, rules: StateRules): AccessClock {
  return {
    firstDenialAt,
    inaccessibleAt: plus(firstDenialAt, rules.inaccessibleAfterMs),
    healsUntil: plus(firstDenialAt, rules.healsWithinMs),
  };
}
