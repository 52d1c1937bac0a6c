import type { Roads } from '../broker/roads.ts';
import type { Caller, RequestContext } from '../domain/caller.ts';
import { done, refuse, type Refusal } from '../domain/refusal.ts';
import { millis, seconds, type Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import { batchLineRules, createBatchLine, type BatchLine } from './batch-line.ts';
import { readBody, type WireRequest } from './body.ts';
import type { Callers } from './caller.ts';
import { reportDefect, type DefectLog } from './defect.ts';
import { begin, write, type WireHandler } from './exchange.ts';
import { read, type Call, type Route, type WireOutcome, type WireRules } from './route.ts';
import { serverPath } from './schemas/requests.ts';

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
    const settled = new AbortController();
    const timeIsOver = clock.pause(span, settled.signal);
    const failed = (error: unknown, requestId: string): WireOutcome<never> => {
      reportDefect(log, error, { requestId, route: route.id });
      return refuse('Internal', 'the broker failed; its log names this request');
    };
    try {
      const work = answer(route, request, { ...exchange, deadline }, { ...parts, line, failed, timeIsOver });
      const overrun = timeIsOver.then(async (): Promise<WireOutcome> => {
        const left = deadline + grace - clock.elapsed();
        if (left > 0 && !settled.signal.aborted) await clock.pause(millis(left), settled.signal);
        return { ok: false, refusal: timeOver };
      });
      // What comes later is dropped.
      return write(await Promise.race([work, overrun]), exchange);
    } catch (error) {
      return write(failed(error, exchange.requestId), exchange);
    } finally {
      settled.abort('settled');
    }
  };
}

type About = Omit<RequestContext, 'caller'>;
type AnswerParts = ServeParts &
  Pick<Call, 'failed'> & {
    readonly line: BatchLine;
    /** Resolves at the deadline. */
    readonly timeIsOver: Promise<void>;
  };

async function answer(route: Route, request: WireRequest, about: About, parts: AnswerParts): Promise<WireOutcome> {
  const caller = await allowedCaller(route, request, parts.callers);
  if (!caller.ok) return caller;
  const context = { ...about, caller: caller.value };
  return route.deadline === 'batch' ? inTurn(route, request, context, parts) : readAndWalk(route, request, context, parts);
}

/** A batch, at its turn. One that is refused before its body is read leaves a record all the same (P3). */
async function inTurn(route: Route, request: WireRequest, context: RequestContext, parts: AnswerParts): Promise<WireOutcome> {
  const { clock, line, roads } = parts;
  const refuseUnread = (refusal: Refusal): WireOutcome | Promise<WireOutcome> => {
    const path = read(serverPath, request.params, 'path');
    return path.ok ? roads.refuseBatch(path.value.server, refusal, context) : path;
  };
  const turn = line.enter(context.caller.objectId);
  if (turn === undefined) return refuseUnread(lineFull);
  const end = await turn;
  try {
    if (clock.elapsed() >= context.deadline) return await refuseUnread(timeOver);
    return await readAndWalk(route, request, context, parts);
  } finally {
    end();
  }
}

/** So long the line is full at least, as a rule: batches that wait for a vault take longer. */
const lineFull = refuse('Throttled', 'too many batches wait at this instance', { retryable: true, retryAfterMs: seconds(5) }).refusal;

const timeOver = refuse('DeadlineExceeded', 'the answer was not there in time', { retryable: true }).refusal;

async function readAndWalk(route: Route, request: WireRequest, context: RequestContext, parts: AnswerParts): Promise<WireOutcome> {
  const { roads, settings: rules, failed, timeIsOver } = parts;
  const body = await readBody(request, route.bodyLimit, timeIsOver);
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
