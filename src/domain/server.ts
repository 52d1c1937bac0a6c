import type { KeyId, Thumbprint, WrapAlgorithm } from './key.ts';
import type { Instant } from './time.ts';

export const engines = ['sql', 'managedInstance', 'synapse', 'mysql', 'postgresql'] as const;
export type Engine = (typeof engines)[number];

export const tiers = ['GeneralPurpose', 'BusinessCritical'] as const;
export type Tier = (typeof tiers)[number];

/** A1–A6. What each allows is one table, `policy/server-state.ts`. */
export type ServerState = 'pendingValidation' | 'online' | 'atRisk' | 'inaccessible' | 'needsRevalidation';

/** The clock of A5: runs from the first denial of a confirmed latch on the protector. */
export interface AccessClock {
  readonly firstDenialAt: Instant;
  readonly inaccessibleAt: Instant;
  readonly healsUntil: Instant;
}

/** How many databases of each tier a server has: what it counts in the association budget (B1). */
export type DatabaseCounts = Readonly<Record<Tier, number>>;

/** A logical server or instance, without its links and databases. */
export interface Server {
  readonly name: string;
  readonly engine: Engine;
  readonly region: string;
  /** Entra object id: a host's token must carry it as `oid`. */
  readonly principalId: string;
  /** Client id of the managed identity that calls the vaults for this server; null: the broker's own. */
  readonly identityClientId: string | null;
  readonly defaultTier: Tier;
  readonly origin: 'restore' | 'replica' | null;
  readonly state: ServerState;
  /** When the state began. */
  readonly since: Instant;
  readonly clock: AccessClock | null;
}

/** A random value wrapped with a link's key. Unwrapping it proves access; the plaintext is never kept, only its SHA-256 (base64url). */
export interface Canary {
  readonly wrapped: string;
  readonly sha256: string;
  readonly algorithm: WrapAlgorithm;
}

/** A key linked to a server. */
export interface Link {
  readonly keyId: KeyId;
  readonly role: 'protector' | 'additional' | 'standby';
  /** Name of the registered vault. */
  readonly vault: string;
  readonly keyType: string;
  readonly keySize: number;
  readonly thumbprint: Thumbprint;
  /** Key id of the primary; null for a primary. */
  readonly standbyOf: KeyId | null;
  /** Order among the standbys of one primary, from 0: they are tried in this order. 0 for a primary. */
  readonly rank: number;
  readonly canary: Canary;
  /** Time span in which the key was the protector (K5); null where it was not, or where it still is. */
  readonly protectorFrom: Instant | null;
  readonly protectorTo: Instant | null;
  readonly linkedAt: Instant;
}

/** A server with all that belongs to it: what the registry keeps in one partition. */
export interface RegisteredServer {
  readonly server: Server;
  readonly links: readonly Link[];
  /** Tier by database name. */
  readonly databases: ReadonlyMap<string, Tier>;
  /** Which registration of the name this is: a server that is removed and registered anew has another. Empty in rows of schema 1. */
  readonly incarnation: string;
  /** Grows by one with each stored change of this incarnation. */
  readonly revision: number;
}

/** The links of one server with one thumbprint: a primary and its standbys, in the order in which they are tried. */
export interface Group {
  readonly primary: Link;
  readonly standbys: readonly Link[];
}

/** The group whose primary is `primary`. */
export function groupOf(registered: RegisteredServer, primary: Link): Group {
  const standbys = registered.links.filter((link) => link.standbyOf === primary.keyId).sort((a, b) => a.rank - b.rank);
  return { primary, standbys };
}

/** The protector's group; undefined before a protector was accepted. */
export function protectorGroup(registered: RegisteredServer): Group | undefined {
  const primary = registered.links.find((link) => link.role === 'protector');
  return primary && groupOf(registered, primary);
}

/** The group whose primary has this thumbprint (K6); undefined if no such key is linked. */
export function groupByThumbprint(registered: RegisteredServer, thumbprint: Thumbprint): Group | undefined {
  const primaries = registered.links.filter((link) => link.role !== 'standby' && link.thumbprint === thumbprint);
  const primary = primaries.find((link) => link.role === 'protector') ?? primaries[0];
  return primary && groupOf(registered, primary);
}

export function countDatabases(databases: ReadonlyMap<string, Tier>): DatabaseCounts {
  const counts = { GeneralPurpose: 0, BusinessCritical: 0 };
  for (const tier of databases.values()) counts[tier] += 1;
  return counts;
}
