import type { HttpClient, PipelinePolicy, PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import { createHttpHeaders } from '@azure/core-rest-pipeline';
import type { KeyId } from '../../domain/key.ts';
import { millis } from '../../domain/time.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Challenge } from './challenge.ts';
import type { Transport, WireResult } from './transport.ts';

/** One side of the SDK's HTTP: answers the requests that one call of a client makes. */
interface Answerer {
  answer(request: PipelineRequest): Promise<PipelineResponse>;
}

/**
 * The SDK's pipeline hands nothing of its caller to its HTTP client but the abort signal, which it passes through untouched if it is a native one.
 * So the signal is the thread that leads from a request back to the call that it belongs to; it is never aborted, the transport keeps the deadline.
 */
const answerers = new WeakMap<object, Answerer>();

/** Makes the signal by which the SDK's requests find `answerer`. */
function threadTo(answerer: Answerer): AbortSignal {
  const { signal } = new AbortController();
  answerers.set(signal, answerer);
  return signal;
}

/** The HTTP client that all SDK clients are given. A request that belongs to no call is refused: nothing is sent behind the adapter's back. */
export const exchangeClient: HttpClient = {
  sendRequest(request) {
    const answerer = request.abortSignal && answerers.get(request.abortSignal);
    return answerer ? answerer.answer(request) : Promise.reject(new Error('an HTTP request of the SDK belongs to no call'));
  },
};

/**
 * A policy that hands the request of a call to its exchange and leaves out the SDK's policies that follow. What they are for was done in the
 * rehearsal (the challenge) or is the adapter's own (token, deadline, retries, redirects); traces and logs of the SDK nobody takes. They
 * would cost as much as all that the broker decides of a call.
 */
export const straightToExchange: PipelinePolicy = {
  name: 'straightToExchange',
  sendRequest(request, next) {
    const answerer = request.abortSignal && answerers.get(request.abortSignal);
    return answerer instanceof Exchange ? answerer.answer(request) : next(request);
  },
};

/** Ends the SDK's pipeline where there is no success to show. What happened is in the exchange; this error says nothing and goes nowhere. */
class ExchangeEnded extends Error {
  override readonly name = 'ExchangeEnded';
}

type JsonObject = Readonly<Record<string, unknown>>;

export interface ExchangeOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly keyId: KeyId;
  /** Bearer token; it replaces whatever the SDK put into the header. */
  readonly token: string;
  /** `Clock.elapsed` by which the response must be there. */
  readonly deadline: number;
  /** As the call's target says. */
  readonly mayLeave?: (() => Promise<boolean>) | undefined;
  /** The body of a response that is the success asked for (C3), undefined for any other; only a success is shown to the SDK. */
  readonly accept: (result: WireResult) => JsonObject | undefined;
}

/**
 * One call to a vault and what became of it. Sends once: whatever the SDK's policies send after that (a challenge answered again, a redirect, a
 * retry) ends the pipeline, since the adapter owns all of it (C1). Failures are read from `result`, never from what the SDK throws (facts 2.3).
 */
export class Exchange implements Answerer {
  readonly signal: AbortSignal;
  readonly #options: ExchangeOptions;
  #sent = false;
  #result: WireResult | undefined;
  #success: JsonObject | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.signal = threadTo(this);
  }

  /** Undefined where nothing was sent: the SDK refused by itself. */
  get result(): WireResult | undefined {
    return this.#result;
  }

  /** The accepted body. */
  get success(): JsonObject | undefined {
    return this.#success;
  }

  async answer(request: PipelineRequest): Promise<PipelineResponse> {
    const { transport, clock, keyId, token, deadline, mayLeave, accept } = this.#options;
    // The key id is the beginning of each URL of its operations, so this also pins scheme and host.
    if (this.#sent || !request.url.startsWith(keyId)) throw new ExchangeEnded();
    this.#sent = true;
    const body = typeof request.body === 'string' ? request.body : undefined;
    const headers = headersOf(request, token);
    const left = millis(deadline - clock.elapsed());
    const result = await transport.send({ method: request.method, url: request.url, headers, body, mayLeave }, left);
    this.#result = result;
    this.#success = accept(result);
    if (this.#success === undefined) throw new ExchangeEnded();
    return respond(request, 200, result.body ?? '');
  }
}

/** What the SDK has set, with the token, and without a wish for compression: a compressed answer is refused (C3). */
function headersOf({ body, headers: given }: PipelineRequest, token: string): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of given) {
    const lower = name.toLowerCase();
    if (lower !== 'accept-encoding') headers[lower] = value;
  }
  if (typeof body === 'string') headers['content-type'] = 'application/json';
  headers['authorization'] = `Bearer ${token}`;
  return headers;
}

/**
 * Answers the first call of a new SDK client from memory: the remembered challenge, then `warmUpBody`. The SDK verifies the challenge's resource
 * against the vault's host and is from then on in the state in which it sends requests as they are, with a token: neither its body-less probe nor
 * its race of first requests (facts 8.6) ever reaches the wire.
 */
export class Rehearsal implements Answerer {
  readonly signal: AbortSignal;
  readonly #challenge: Challenge;
  readonly #warmUpBody: string;

  constructor(challenge: Challenge, warmUpBody: string) {
    this.#challenge = challenge;
    this.#warmUpBody = warmUpBody;
    this.signal = threadTo(this);
  }

  answer(request: PipelineRequest): Promise<PipelineResponse> {
    if (request.headers.has('authorization')) return Promise.resolve(respond(request, 200, this.#warmUpBody));
    const headers = createHttpHeaders({ 'www-authenticate': this.#challenge.header });
    return Promise.resolve({ request, status: 401, headers });
  }
}

/** Shared, as the SDK's policies only read a response's headers; what else the vault sent is in the exchange. */
const jsonHeaders = createHttpHeaders({ 'content-type': 'application/json' });

function respond(request: PipelineRequest, status: number, bodyAsText: string): PipelineResponse {
  return { request, status, headers: jsonHeaders, bodyAsText };
}
