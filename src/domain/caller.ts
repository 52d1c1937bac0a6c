/** App roles of Entra tokens (design section 5). */
export const roles = ['KeyBroker.Host', 'KeyBroker.Operator', 'KeyBroker.Auditor'] as const;
export type Role = (typeof roles)[number];

/** Who calls: taken from a verified token. */
export interface Caller {
  /** Object id, the token's `oid`. */
  readonly objectId: string;
  readonly roles: ReadonlySet<Role>;
}

/** What every road is told of the request that it serves. */
export interface RequestContext {
  readonly caller: Caller;
  readonly requestId: string;
  /** Monotonic milliseconds (`Clock.elapsed`) by which the answer must be there. */
  readonly deadline: number;
  /** The trace that it belongs to; absent: it belongs to none. */
  readonly trace?: Trace;
}

/** The trace that a request belongs to. */
export interface Trace {
  /** W3C Trace Context, version 00. */
  readonly traceparent: string;
  /** Whether its spans are to be kept: as the caller says, and always where the broker began it. */
  readonly sampled: boolean;
}
