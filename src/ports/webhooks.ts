import type { Agreement } from '../domain/delivery.ts';
import type { BrokerEvent } from '../domain/event.ts';
import type { Millis } from '../domain/time.ts';

/** A webhook as the roads know it. `address` changes with its URL and tells nothing of it; `host` is what may be shown. */
export interface WebhookTarget {
  readonly name: string;
  readonly host: string;
  readonly address: string;
}

/**
 * What became of a request. `refused`: the receiver did not take this event; the next may fare better. `away`: it takes nothing now, be it
 * down, slow, elsewhere (a redirect is not followed) or not willing; `retryAfterMs` where it named a time. `gone`: 410, for good.
 * Reasons are ours: no word of the receiver's, nothing of the URL.
 */
export type WebhookAnswer<T> =
  | { readonly kind: 'taken'; readonly value: T }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'away'; readonly reason: string; readonly retryAfterMs: Millis | null }
  | { readonly kind: 'gone' };

/** The configured webhooks. Methods never reject; each is one request and answers within 10 s. */
export interface Webhooks {
  readonly targets: readonly WebhookTarget[];
  /** Asks whether events may be sent there (CloudEvents, HTTP 1.1 Web Hooks, section 4). `refused` is never answered. */
  ask(target: WebhookTarget): Promise<WebhookAnswer<Agreement>>;
  /** Sends one event, signed, as a CloudEvent in structured mode. */
  send(target: WebhookTarget, event: BrokerEvent): Promise<WebhookAnswer<null>>;
}
