import type { Audit, FindingChange, Slot } from '../domain/audit.ts';
import type { RequestContext } from '../domain/caller.ts';
import type { Dek, WrappedDek } from '../domain/dek.ts';
import type { BrokerEvent } from '../domain/event.ts';
import type { Finding } from '../domain/finding.ts';
import type { Latch } from '../domain/access.ts';
import type { KeyId, Thumbprint, UnwrapAlgorithm, WrapAlgorithm } from '../domain/key.ts';
import type { NumberedRecord, OperationName } from '../domain/operation.ts';
import type { Outcome, Refusal } from '../domain/refusal.ts';
import type { DatabaseCounts, Engine, Link, Server, Tier } from '../domain/server.ts';
import type { Instant } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import type { LogPage, Page, PageRequest } from '../ports/events.ts';
import type { AuditView, DrillReport, StatusView, VaultView } from './fleet-views.ts';

/** A server as its readers see it. */
export interface ServerView extends Server {
  readonly databases: DatabaseCounts;
}

/** A link as its readers see it: with what the store knows of access to it. */
export interface LinkView extends Omit<Link, 'canary' | 'rank' | 'linkedAt'> {
  readonly region: string;
  readonly latch: Latch | null;
  /** From when F5 allows failover again; null if no denial holds it back. */
  readonly failoverFrom: Instant | null;
  readonly provenAt: Instant | null;
}

/** Where a key operation was served. */
export interface Served {
  readonly keyId: KeyId;
  readonly thumbprint: Thumbprint;
  readonly vault: string;
  readonly failover: boolean;
  /** Place of the operation's record: `{instance}/{number}`. */
  readonly record: string;
}

export interface WrapAnswer extends Served {
  readonly wrappedDek: WrappedDek;
  readonly algorithm: WrapAlgorithm;
}

/** Whoever receives it zeroes `dek`. */
export interface UnwrapAnswer extends Served {
  readonly dek: Dek;
  readonly algorithm: UnwrapAlgorithm;
}

export interface RegisterServer {
  readonly name: string;
  readonly engine: Engine;
  readonly region: string;
  readonly principalId: string;
  readonly defaultTier: Tier | undefined;
  readonly identityClientId: string | undefined;
  readonly origin: 'restore' | 'replica' | undefined;
}

export interface LinkKeys {
  readonly server: string;
  readonly keyId: KeyId;
  readonly standbyKeyIds: readonly KeyId[];
}

/** `created` tells 201 from 200. */
export interface Registered<T> {
  readonly created: boolean;
  readonly value: T;
}

interface Target {
  readonly server: string;
  readonly database: string;
}

export type WrapRequest = Target & { readonly dek: Dek; readonly algorithm: WrapAlgorithm };
export type UnwrapRequest = Target & {
  readonly wrappedDek: WrappedDek;
  readonly thumbprint: Thumbprint;
  readonly algorithm: UnwrapAlgorithm;
};
/** `algorithm` is that of the ciphertext; what is wrapped anew is wrapped with RSA-OAEP-256, or RSA-OAEP where that was asked for. */
export type RewrapRequest = UnwrapRequest;

export interface BatchRequest<T> {
  readonly operation: OperationName;
  readonly server: string;
  readonly size: number;
  /** The database of an item; undefined where the item has not the form of an operation. */
  readonly database: (index: number) => string | undefined;
  /** Does not reject: a defect is the item's own problem. */
  readonly item: (index: number, context: RequestContext) => Promise<Outcome<T>>;
}

/** Every use of the broker. Each road is one readable function; the wire knows no other way in. None rejects but for a defect. */
export interface Roads {
  putVault(vault: Vault, context: RequestContext): Promise<Outcome<Registered<VaultView>>>;
  getVault(name: string, context: RequestContext): Promise<Outcome<VaultView>>;
  listVaults(page: PageRequest, context: RequestContext): Promise<Outcome<Page<VaultView>>>;

  putServer(request: RegisterServer, context: RequestContext): Promise<Outcome<Registered<ServerView>>>;
  getServer(name: string, context: RequestContext): Promise<Outcome<ServerView>>;
  deleteServer(name: string, context: RequestContext): Promise<Outcome<null>>;

  putProtector(
    request: LinkKeys,
    context: RequestContext,
  ): Promise<Outcome<Registered<{ readonly links: readonly LinkView[]; readonly findings: readonly Finding[] }>>>;
  listKeys(server: string, context: RequestContext): Promise<Outcome<Page<LinkView>>>;
  linkKey(
    request: LinkKeys & { readonly from: Instant | undefined; readonly to: Instant | undefined },
    context: RequestContext,
  ): Promise<Outcome<Registered<{ readonly links: readonly LinkView[]; readonly findings: readonly Finding[] }>>>;
  dropKey(
    request: { readonly server: string; readonly thumbprint: Thumbprint; readonly confirmed: boolean },
    context: RequestContext,
  ): Promise<Outcome<null>>;

  /** Without `tier`: the server's default tier. */
  putDatabase(
    request: { readonly server: string; readonly database: string; readonly tier: Tier | undefined },
    context: RequestContext,
  ): Promise<Outcome<Registered<{ readonly name: string; readonly tier: Tier }>>>;
  getDatabase(
    request: { readonly server: string; readonly database: string },
    context: RequestContext,
  ): Promise<Outcome<{ readonly name: string; readonly tier: Tier }>>;
  deleteDatabase(request: { readonly server: string; readonly database: string }, context: RequestContext): Promise<Outcome<null>>;

  wrap(request: WrapRequest, context: RequestContext): Promise<Outcome<WrapAnswer>>;
  unwrap(request: UnwrapRequest, context: RequestContext): Promise<Outcome<UnwrapAnswer>>;
  rewrap(request: RewrapRequest, context: RequestContext): Promise<Outcome<WrapAnswer>>;

  /**
   * Walks the items of a batch, in any order, several at once. `item` is given its index and its own context, and does one key operation by
   * the roads above. The answer has one outcome an item, in their order.
   */
  batch<T>(request: BatchRequest<T>, context: RequestContext): Promise<Outcome<readonly Outcome<T>[]>>;
  /** Refuses a batch whose body is not read: leaves its record, and answers the refusal. */
  refuseBatch(server: string, refusal: Refusal, context: RequestContext): Promise<Outcome<never>>;

  revalidate(server: string, context: RequestContext): Promise<Outcome<ServerView>>;

  listEvents(
    request: PageRequest & { readonly since: Instant | null; readonly subject: string | null },
    context: RequestContext,
  ): Promise<Outcome<LogPage<BrokerEvent>>>;
  listOperations(
    request: PageRequest & { readonly since: Instant | null; readonly server: string | null },
    context: RequestContext,
  ): Promise<Outcome<LogPage<NumberedRecord>>>;

  /** Proves each standby by canary without switching; see `createDrill`. */
  drill(server: string, context: RequestContext): Promise<Outcome<DrillReport>>;

  /** Permission audits (P1), newest first. */
  listAudits(page: PageRequest, context: RequestContext): Promise<Outcome<Page<Audit>>>;
  /** @param changes which findings, beside the audit before; by default what is wrong now: new and continued. */
  getAudit(
    request: PageRequest & { readonly slot: Slot; readonly changes: readonly FindingChange[] },
    context: RequestContext,
  ): Promise<Outcome<AuditView>>;
  /** Begins an audit now; it runs on after the answer, and in the next runs of the watch. */
  startAudit(context: RequestContext): Promise<Outcome<AuditView>>;

  /** The whole fleet in one document. The page is of the servers that are not online, the worst first. */
  status(page: PageRequest, context: RequestContext): Promise<Outcome<StatusView>>;

  /** What is missing before key operations can be served; calls no vault. `warnings` do not make the broker unready. */
  readiness(): Promise<{ readonly missing: readonly string[]; readonly warnings: readonly string[] }>;
  /** The `accessWatch` timer: witnesses, clocks, healing, proofs, events. */
  watch(): Promise<void>;
  /** The `permissionAudit` timer (P1). Ends when the audit does, or with the time for one run. */
  auditPermissions(): Promise<void>;
}
