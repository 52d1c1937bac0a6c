import type { RequestContext } from '../domain/caller.ts';
import type { Dek, WrappedDek } from '../domain/dek.ts';
import type { BrokerEvent } from '../domain/event.ts';
import type { Finding } from '../domain/finding.ts';
import type { Latch } from '../domain/access.ts';
import type { KeyId, Thumbprint, UnwrapAlgorithm, WrapAlgorithm } from '../domain/key.ts';
import type { NumberedRecord } from '../domain/operation.ts';
import type { Outcome } from '../domain/refusal.ts';
import type { DatabaseCounts, Engine, Link, Server, Tier } from '../domain/server.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import type { CircuitState } from '../ports/circuits.ts';
import type { Page, PageRequest } from '../ports/events.ts';

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

export interface VaultView extends Vault {
  readonly circuit: { readonly state: CircuitState; readonly since: Instant | null; readonly instances: Readonly<Record<CircuitState, number>> };
  /** Points. */
  readonly association: { readonly used: number; readonly limit: number };
  readonly rate: { readonly used: number; readonly limit: number; readonly windowMs: Millis; readonly byKeyType: Readonly<Record<string, number>> };
  /** Null before a call was made. */
  readonly latencyMs: { readonly p50: Millis | null; readonly p99: Millis | null };
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
export type UnwrapRequest = Target & { readonly wrappedDek: WrappedDek; readonly thumbprint: Thumbprint; readonly algorithm: UnwrapAlgorithm };
/** `algorithm` is that of the ciphertext; what is wrapped anew is wrapped with RSA-OAEP-256, or RSA-OAEP where that was asked for. */
export type RewrapRequest = UnwrapRequest;

/** Every use of the broker. Each road is one readable function; the wire knows no other way in. None rejects but for a defect. */
export interface Roads {
  putVault(vault: Vault, context: RequestContext): Promise<Outcome<Registered<VaultView>>>;
  getVault(name: string, context: RequestContext): Promise<Outcome<VaultView>>;
  listVaults(page: PageRequest, context: RequestContext): Promise<Outcome<Page<VaultView>>>;

  putServer(request: RegisterServer, context: RequestContext): Promise<Outcome<Registered<ServerView>>>;
  getServer(name: string, context: RequestContext): Promise<Outcome<ServerView>>;
  deleteServer(name: string, context: RequestContext): Promise<Outcome<null>>;

  putProtector(request: LinkKeys, context: RequestContext): Promise<Outcome<Registered<{ readonly links: readonly LinkView[]; readonly findings: readonly Finding[] }>>>;
  listKeys(server: string, context: RequestContext): Promise<Outcome<Page<LinkView>>>;
  linkKey(request: LinkKeys & { readonly from: Instant | undefined; readonly to: Instant | undefined }, context: RequestContext): Promise<Outcome<Registered<{ readonly links: readonly LinkView[]; readonly findings: readonly Finding[] }>>>;
  dropKey(request: { readonly server: string; readonly thumbprint: Thumbprint; readonly confirmed: boolean }, context: RequestContext): Promise<Outcome<null>>;

  putDatabase(request: { readonly server: string; readonly database: string; readonly tier: Tier }, context: RequestContext): Promise<Outcome<Registered<{ readonly name: string; readonly tier: Tier }>>>;
  getDatabase(request: { readonly server: string; readonly database: string }, context: RequestContext): Promise<Outcome<{ readonly name: string; readonly tier: Tier }>>;
  deleteDatabase(request: { readonly server: string; readonly database: string }, context: RequestContext): Promise<Outcome<null>>;

  wrap(request: WrapRequest, context: RequestContext): Promise<Outcome<WrapAnswer>>;
  unwrap(request: UnwrapRequest, context: RequestContext): Promise<Outcome<UnwrapAnswer>>;
  rewrap(request: RewrapRequest, context: RequestContext): Promise<Outcome<WrapAnswer>>;

  revalidate(server: string, context: RequestContext): Promise<Outcome<ServerView>>;

  listEvents(request: PageRequest & { readonly since: Instant | null; readonly subject: string | null }, context: RequestContext): Promise<Outcome<Page<BrokerEvent>>>;
  listOperations(request: PageRequest & { readonly since: Instant | null; readonly server: string | null }, context: RequestContext): Promise<Outcome<Page<NumberedRecord>>>;

  /** What is missing before key operations can be served; calls no vault. `warnings` do not make the broker unready. */
  readiness(): Promise<{ readonly missing: readonly string[]; readonly warnings: readonly string[] }>;
  /** The `accessWatch` timer: witnesses, clocks, healing, proofs, events. */
  watch(): Promise<void>;
}
