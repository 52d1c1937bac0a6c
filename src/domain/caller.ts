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
}
