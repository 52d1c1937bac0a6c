import { done, refuse } from '../domain/refusal.ts';
import type { Clock } from '../ports/clock.ts';
import { begin, write, type WireHandler } from './exchange.ts';
import type { Route, WireOutcome } from './route.ts';

/**
 * Makes the handlers of a broker whose settings are wrong. It must register all the same: where an entry throws, the host goes on with no
 * function at all and answers every call with an empty 404, which says nothing to anybody.
 * @param problems as `readSettings` tells them: they name settings and bounds, never what was set.
 */
export function serveMisconfigured(problems: readonly string[], clock: Clock): (route: Route) => WireHandler {
  return (route) => (request) => Promise.resolve(write(outcomeOf(route.id, problems), begin(request, clock)));
}

function outcomeOf(routeId: string, problems: readonly string[]): WireOutcome {
  if (routeId === 'healthz') return done({ status: 200, body: { status: 'ok' } });
  if (routeId !== 'readyz') return refuse('Internal', 'the settings of the broker are wrong: GET /readyz lists every problem');
  return { ok: false, refusal: { code: 'StateUnavailable', detail: `not ready: ${problems.join('; ')}`, missing: problems, warnings: [] } };
}
