import type { Roads } from '../broker/roads.ts';
import type { Caller, RequestContext } from '../domain/caller.ts';
import { done, refuse } from '../domain/refusal.ts';
import { millis, seconds, type Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import { batchLineRules, createBatchLine, type BatchLine } from './batch-line.ts';
import { readBody, type WireRequest } from './body.ts';
import type { Callers } from './caller.ts';
import { reportDefect, type DefectLog } from './defect.ts';
import { begin, write, type WireHandler } from './exchange.ts';
import type { Call, Route, WireOutcome, WireRules } from './route.ts';

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
  const line = createBatchLine(batchLineRules);
  return (route) => async (request) => {
    const span = route.deadline === 'batch' ? settings.batchTimeoutMs : settings.requestTimeoutMs;
    const exchange = begin(request, clock);
    const deadline = clock.elapsed() + span;
    const failed = (error: unknown, requestId: string): WireOutcome<never> => {
      reportDefect(log, error, { requestId, route: route.id });
      return refuse('Internal', 'the broker failed; its log names this request');
    };
    try {
      const work = answer(route, request, { ...exchange, deadline }, { ...parts, line, failed });
      return write(await withinDeadline(work, millis(span + grace), clock), exchange);
    } catch (error) {
      return write(failed(error, exchange.requestId), exchange);
    }
  };
}

type About = Omit<RequestContext, 'caller'>;
type AnswerParts = ServeParts & Pick<Call, 'failed'> & { readonly line: BatchLine };

async function answer(route: Route, request: WireRequest, about: About, parts: AnswerParts): Promise<WireOutcome> {
  const caller = await allowedCaller(route, request, parts.callers);
  if (!caller.ok) return caller;
  const context = { ...about, caller: caller.value };
  if (route.deadline !== 'batch') return readAndWalk(route, request, context, parts);
  const turn = parts.line.enter(context.caller.objectId);
  if (turn === undefined) return lineFull;
  const end = await turn;
  try {
    if (parts.clock.elapsed() >= context.deadline) return timeOver;
    return await readAndWalk(route, request, context, parts);
  } finally {
    end();
  }
}

/** So long the line is full at least, as a rule: batches that wait for a vault take longer. */
const lineFull = refuse('Throttled', 'too many batches wait at this instance', { retryable: true, retryAfterMs: seconds(5) });

const timeOver = refuse('DeadlineExceeded', 'the answer was not there in time', { retryable: true });

async function readAndWalk(route: Route, request: WireRequest, context: RequestContext, parts: AnswerParts): Promise<WireOutcome> {
  const { roads, settings: rules, failed } = parts;
  const body = await readBody(request, route.bodyLimit);
  if (!body.ok) return body;
  return route.serve({ params: request.params, query: request.query, body: body.value }, { roads, context, rules, failed });
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
  const overrun = clock.pause(span, settled.signal).then(() => timeOver);
  try {
    return await Promise.race([work, overrun]);
  } finally {
    settled.abort('settled');
  }
}
