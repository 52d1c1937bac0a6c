import { createHash, createHmac } from 'node:crypto';
import type { Webhook } from '../domain/delivery.ts';
import { toCloudEvent, type BrokerEvent } from '../domain/event.ts';
import { seconds, type Millis } from '../domain/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { WebhookAnswer, Webhooks, WebhookTarget } from '../ports/webhooks.ts';

export interface WebhookOptions {
  readonly targets: readonly Webhook[];
  /** DNS name by which receivers are asked. */
  readonly origin: string;
  /** `source` of the events. */
  readonly source: string;
  readonly clock: Clock;
  /** For one request, from the connection to the answer's headers; default 10 s. */
  readonly timeoutMs?: Millis;
}

type Failure = Exclude<WebhookAnswer<never>, { kind: 'taken' }>;

/** Webhooks over HTTP. An answer is its status and headers: the body is neither waited for nor read, however long it is. */
export function createWebhooks({ targets, origin, source, clock, timeoutMs = seconds(10) }: WebhookOptions): Webhooks {
  const known = new Map(targets.map((webhook) => [webhook.name, { ...webhook, ...targetOf(webhook, origin) }]));

  async function request({ name }: WebhookTarget, init: RequestInit): Promise<Response | Failure> {
    const url = known.get(name)?.url;
    if (url === undefined) return { kind: 'away', reason: 'is not configured', retryAfterMs: null };
    try {
      const response = await fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
      await response.body?.cancel().catch(() => undefined);
      return response;
    } catch (error) {
      return { kind: 'away', reason: reasonOf(error), retryAfterMs: null };
    }
  }

  return {
    targets: [...known.values()].map(({ name, host, address }) => ({ name, host, address })),

    async ask(target) {
      const answer = await request(target, { method: 'OPTIONS', headers: { 'webhook-request-origin': origin } });
      if (!(answer instanceof Response)) return answer;
      if (answer.status === 410) return { kind: 'gone' };
      const allowed = answer.headers.get('webhook-allowed-origin')?.trim().toLowerCase();
      if (answer.ok && (allowed === '*' || allowed === origin.toLowerCase())) {
        return { kind: 'taken', value: { ratePerMinute: rateOf(answer.headers.get('webhook-allowed-rate')) } };
      }
      return {
        kind: 'away',
        reason: `does not allow events from \`${origin}\`: OPTIONS was answered ${answer.status}`,
        retryAfterMs: null,
      };
    },

    async send(target, event) {
      const body = JSON.stringify(toCloudEvent(event, source));
      const signed = signatureHeaders({ event, body, now: clock.now(), secrets: known.get(target.name)?.secrets ?? [] });
      const headers = { ...signed, 'content-type': 'application/cloudevents+json; charset=utf-8', 'webhook-request-origin': origin };
      const answer = await request(target, { method: 'POST', headers, body });
      return answer instanceof Response ? meaningOf(answer) : answer;
    },
  };
}

/** The address of a target: changes with its URL and with the origin that it agreed to, and gives neither away. */
function targetOf({ name, url }: Webhook, origin: string): WebhookTarget {
  return { name, host: new URL(url).host, address: createHash('sha256').update(`${origin} ${url}`).digest('base64url').slice(0, 22) };
}

/**
 * Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`, one for each secret. The id is the event's, the
 * same in each try; one that holds a full stop or what no header may hold is hashed.
 */
function signatureHeaders({
  event,
  body,
  now,
  secrets,
}: {
  readonly event: BrokerEvent;
  readonly body: string;
  readonly now: number;
  readonly secrets: readonly string[];
}): Record<string, string> {
  const id = /^[\w-]{1,128}$/.test(event.id) ? event.id : createHash('sha256').update(event.id).digest('base64url');
  const timestamp = String(Math.floor(now / 1000));
  const signed = `${id}.${timestamp}.${body}`;
  const signatures = secrets.map((key) => `v1,${createHmac('sha256', Buffer.from(key, 'base64')).update(signed).digest('base64')}`);
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

/** Statuses that speak of the address and not of the event: another event would fare no better. */
const ofTheAddress = new Set([401, 403, 404, 405, 407, 408, 421, 425, 426, 429, 502, 503, 504]);

function meaningOf({ status, ok, headers }: Response): WebhookAnswer<null> {
  if (ok) return { kind: 'taken', value: null };
  if (status === 410) return { kind: 'gone' };
  if (status >= 300 && status < 400) return { kind: 'away', reason: `answered ${status}: redirects are not followed`, retryAfterMs: null };
  if (ofTheAddress.has(status)) return { kind: 'away', reason: `answered ${status}`, retryAfterMs: retryAfter(headers.get('retry-after')) };
  return { kind: 'refused', reason: `answered ${status}` };
}

/** Whole seconds; the other form of RFC 9110, a date, would rest on the receiver's clock and is not heeded. */
function retryAfter(header: string | null): Millis | null {
  return header !== null && /^\d{1,6}$/.test(header) ? seconds(Number(header)) : null;
}

/** Requests a minute; `*`, nothing and nonsense: no limit. */
function rateOf(header: string | null): number | null {
  const rate = Number(header ?? '');
  return Number.isInteger(rate) && rate > 0 ? rate : null;
}

/** The platform's own name of a failure, e.g. `ECONNREFUSED`; never its message, which may hold the URL. */
function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'did not answer in time';
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? `cannot be reached: ${code}` : 'cannot be reached';
}
