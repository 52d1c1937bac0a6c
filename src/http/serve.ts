import type { Roads } from '../broker/roads.ts';
import type { Caller, RequestContext } from '../domain/caller.ts';
import { done, refuse } from '../domain/refusal.ts';
import { millis, type Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import { readBody, type WireRequest } from './body.ts';
import type { Callers } from './caller.ts';
import { reportDefect, type DefectLog } from './defect.ts';
import { begin, write, type WireHandler } from './exchange.ts';
import type { Route, WireOutcome, WireRules } from './route.ts';

/** Deadlines of C5, and the rules of the routes. */
export interface WireSettings extends WireRules {
  readonly requestTimeoutMs: Millis;
  readonly batchTimeoutMs: Millis;
}

export interface ServeParts {
  readonly roads: Roads;
  readonly callers: Callers;
  readonly settings: WireSettings;
  readonly clock: Clock;
  readonly log: DefectLog;
}

const nobody: Caller = { objectId: '', roles: new Set() };

/**
 * How far behind the deadline an answer is given up for lost. Roads keep the deadline themselves and then say more than this can: which
 * vaults were tried, and how.
 */
const grace = 250;

/** Makes the handler of any route: who calls, read, walk, write; the same for all. */
export function createServe(parts: ServeParts): (route: Route) => WireHandler {
  const { clock, settings, log } = parts;
  return (route) => async (request) => {
    const span = route.deadline === 'batch' ? settings.batchTimeoutMs : settings.requestTimeoutMs;
    const exchange = begin(request, clock);
    const deadline = clock.elapsed() + span;
    try {
      const work = answer(route, request, { ...exchange, deadline }, parts);
      return write(await withinDeadline(work, millis(span + grace), clock), exchange);
    } catch (error) {
      reportDefect(log, error, { requestId: exchange.requestId, route: route.id });
      return write(refuse('Internal', 'the broker failed; its log names this request'), exchange);
    }
  };
}

async function answer(route: Route, request: WireRequest, about: Omit<RequestContext, 'caller'>, parts: ServeParts): Promise<WireOutcome> {
  const { roads, callers, settings: rules } = parts;
  const caller = await allowedCaller(route, request, callers);
  if (!caller.ok) return caller;
  const body = await readBody(request, route.bodyLimit);
  if (!body.ok) return body;
  const context = { ...about, caller: caller.value };
  return route.serve({ params: request.params, query: request.query, body: body.value }, { roads, context, rules });
}

/** The caller, if one of the route's roles is theirs. Comes before the body is read: a stranger's costs nothing. */
async function allowedCaller(route: Route, request: WireRequest, callers: Callers): Promise<WireOutcome<Caller>> {
  if (route.who === 'anyone') return done(nobody);
  const caller = await callers.identify(request.headers.get('authorization'));
  if (!caller.ok || route.who.some((role) => caller.value.roles.has(role))) return caller;
  return refuse('CallerNotAllowed', `this needs the app role ${route.who.join(' or ')}`);
}

/** `work`, or `DeadlineExceeded` when `span` has passed. What comes later is dropped. */
async function withinDeadline(work: Promise<WireOutcome>, span: Millis, clock: Clock): Promise<WireOutcome> {
  const settled = new AbortController();
  const overrun = clock
    .pause(span, settled.signal)
    .then(() => refuse('DeadlineExceeded', 'the answer was not there in time', { retryable: true }));
  try {
    return await Promise.race([work, overrun]);
  } finally {
    settled.abort('settled');
  }
}
