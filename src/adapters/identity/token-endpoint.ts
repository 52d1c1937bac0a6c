import type { HttpClient, PipelineResponse } from '@azure/core-rest-pipeline';
import { createDefaultHttpClient } from '@azure/core-rest-pipeline';
import { systemClock } from '../clock.ts';
import { readJson } from '../json.ts';

/** What the endpoint of managed identities answered last to one request: the ground truth that the SDK's exceptions leave out (facts 5.2). */
export type EndpointAnswer =
  | { readonly status: number; readonly body: string; readonly errno: null }
  | { readonly status: null; readonly body: null; readonly errno: string };

/** A request ends with this, so that a hung endpoint holds neither sockets nor the SDK; callers have a deadline of their own, long before. */
const longestRequestMs = 30_000;

const answers = new Map<string, EndpointAnswer>();
const platform = createDefaultHttpClient();

/**
 * The one HTTP client of all managed-identity credentials. One for the process and not one a credential, because MSAL keeps the source of managed
 * identities, with the HTTP client of whichever credential was made first, in a static field.
 *
 * It also shows each token to MSAL as expired: MSAL caches tokens in a static store that nothing public bypasses or clears, answers from it
 * silently when the identity has been deleted, and throws when the endpoint is down although the token in it is good (facts 5.4). This way each
 * request of the broker is a request to the endpoint, and the cache is the broker's own.
 */
export const endpointClient: HttpClient = {
  async sendRequest(request) {
    const key = answerKey(request.url);
    request.abortSignal = AbortSignal.timeout(longestRequestMs);
    try {
      const response = await platform.sendRequest(request);
      answers.set(key, { status: response.status, body: response.bodyAsText ?? '', errno: null });
      return withExpiredToken(response);
    } catch (error) {
      answers.set(key, { status: null, body: null, errno: errnoOf(error) });
      throw error;
    }
  },
};

/** Takes the last answer for an identity and resource; undefined where none came since it was taken last. */
export function takeAnswer(clientId: string | null, resource: string): EndpointAnswer | undefined {
  const key = `${clientId ?? ''} ${resource}`;
  const answer = answers.get(key);
  answers.delete(key);
  return answer;
}

function answerKey(requestUrl: string): string {
  const query = new URL(requestUrl).searchParams;
  return `${query.get('client_id') ?? ''} ${query.get('resource') ?? ''}`;
}

function withExpiredToken(response: PipelineResponse): PipelineResponse {
  const body = readJson(response.bodyAsText);
  if (body?.['access_token'] === undefined) return response;
  const aSecondAgo = Math.floor(systemClock.now() / 1000) - 1;
  return { ...response, bodyAsText: JSON.stringify({ ...body, expires_on: String(aSecondAgo) }) };
}

function errnoOf(error: unknown): string {
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  if (name === 'AbortError') return 'DEADLINE';
  return typeof code === 'string' ? code : 'UNKNOWN';
}
