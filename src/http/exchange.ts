import type { HttpResponseInit } from '@azure/functions';
import type { Trace } from '../domain/caller.ts';
import type { Clock } from '../ports/clock.ts';
import type { WireRequest } from './body.ts';
import { problemBody, problemHeaders, problemKinds, type WireRefusal } from './problem.ts';
import type { WireOutcome } from './route.ts';
import { requestIdOf, traceOf } from './trace.ts';

/** A handler as the Functions host calls it. Never rejects: in streaming mode a handler that throws would never answer. */
export type WireHandler = (request: WireRequest) => Promise<HttpResponseInit>;

/** What names a request and goes back with its answer, whatever that is. */
export interface Exchange {
  readonly requestId: string;
  readonly trace: Trace;
}

export function begin(request: WireRequest, clock: Clock): Exchange {
  return {
    requestId: requestIdOf(request.headers.get('x-ms-client-request-id'), clock),
    trace: traceOf(request.headers.get('traceparent'), clock),
  };
}

/** Nothing on the way may keep or reinterpret what is answered. */
function commonHeaders({ requestId, trace }: Exchange): Record<string, string> {
  return {
    'x-ms-client-request-id': requestId,
    traceparent: trace.traceparent,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
}

/** The outcome as a response of the Functions host. */
export function write(outcome: WireOutcome, exchange: Exchange): HttpResponseInit {
  if (!outcome.ok) return writeProblem(outcome.refusal, exchange);
  const { status, body, text, headers } = outcome.value;
  if (text !== undefined) return { status, headers: { ...commonHeaders(exchange), ...headers }, body: text };
  if (body === undefined) return { status, headers: { ...commonHeaders(exchange), ...headers } };
  return { status, headers: { ...commonHeaders(exchange), 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}

function writeProblem(refusal: WireRefusal, exchange: Exchange): HttpResponseInit {
  return {
    status: problemKinds[refusal.code].status,
    headers: { ...commonHeaders(exchange), 'content-type': 'application/problem+json', ...problemHeaders(refusal) },
    body: JSON.stringify(problemBody(refusal, exchange.requestId)),
  };
}
