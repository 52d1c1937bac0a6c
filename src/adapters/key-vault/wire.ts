import type { IncomingHttpHeaders } from 'node:http';
import type { Instant } from '../../domain/time.ts';

/** What is sent. */
export interface WireRequest {
  readonly method: string;
  /** Absolute; anything but https is refused before a byte is sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Asked when the connection stands; where it answers false, or rejects, nothing is sent. Absent: the request may leave. */
  readonly mayLeave?: (() => Promise<boolean>) | undefined;
}

/** What really happened on the wire. It may hold a plaintext DEK in `body`: never kept, logged or passed on whole. */
export interface WireResult {
  /** When the request left (the last one, where a stale connection made it leave twice), and when the outcome was known. */
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
  /** Null where no response headers came. */
  readonly status: number | null;
  readonly headers: IncomingHttpHeaders;
  /** Null where the body did not come to its end. */
  readonly body: string | null;
  /** Why there is no complete response: an errno, a code of Node's TLS or of the HTTP client, or one of `brokenOff`; null if there is one. */
  readonly errno: string | null;
}

/** Outcomes that are the transport's own decision and have no errno. */
export const brokenOff = {
  /** The deadline passed, before or within the response. */
  deadline: 'DEADLINE',
  /** The deadline passed before a connection was free, while the host answered others: a matter of this side. */
  noConnection: 'NO_CONNECTION',
  tooLarge: 'BODY_TOO_LARGE',
  /** The body is compressed although no encoding was accepted. */
  encoded: 'BODY_ENCODED',
  notHttps: 'NOT_HTTPS',
  /** `mayLeave` said no: nothing was sent. */
  heldBack: 'HELD_BACK',
} as const;

export const noHeaders: IncomingHttpHeaders = Object.freeze({});
