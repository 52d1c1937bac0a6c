import type { Audit, AuditFinding } from '../domain/audit.ts';
import type { EventType } from '../domain/event.ts';
import type { DenialClass } from '../domain/fault.ts';
import type { Finding } from '../domain/finding.ts';
import type { KeyId, Thumbprint } from '../domain/key.ts';
import type { ServerState } from '../domain/server.ts';
import type { Instant, Millis } from '../domain/time.ts';
import type { Vault } from '../domain/vault.ts';
import type { CircuitState } from '../ports/circuits.ts';
import type { Page } from '../ports/events.ts';
import type { InstanceReport } from '../ports/instances.ts';
import type { ServerStanding } from '../ports/registry.ts';

/* Vaults, audits, drills and the whole fleet as their readers see them. */

/** A vault with its circuit over all instances, and its budgets. */
export interface VaultView extends Vault {
  /** `instances`: each that is alive counts, as closed where it has said nothing yet, and one that is gone until its open circuit is taken out. */
  readonly circuit: {
    readonly state: CircuitState;
    readonly since: Instant | null;
    readonly instances: Readonly<Record<CircuitState, number>>;
  };
  /** Points. */
  readonly association: { readonly used: number; readonly limit: number };
  readonly rate: {
    readonly used: number;
    readonly limit: number;
    readonly windowMs: Millis;
    readonly byKeyType: Readonly<Record<string, number>>;
  };
  /** Null before a call was made. */
  readonly latencyMs: { readonly p50: Millis | null; readonly p99: Millis | null };
}

/** An audit with a page of its findings. */
export interface AuditView extends Audit {
  readonly findings: Page<AuditFinding>;
}

/** A primary whose standbys were drilled, with its newest proof: a failover rests on it (F3). */
export interface DrilledPrimary {
  readonly keyId: KeyId;
  readonly role: 'protector' | 'additional';
  readonly thumbprint: Thumbprint;
  readonly vault: string;
  readonly provenAt: Instant | null;
}

/** What a drill saw at one standby. */
export interface DrilledStandby {
  readonly keyId: KeyId;
  /** Its primary. */
  readonly standbyOf: KeyId;
  readonly thumbprint: Thumbprint;
  readonly vault: string;
  readonly region: string;
  /** A failover to it would work now, as far as it is concerned. */
  readonly ok: boolean;
  /** Of the unwrap of what its primary wrapped. `notProven`: the vault was not asked, or did not say; the findings tell why. */
  readonly result: 'proven' | 'failed' | 'notProven';
  /** When the unwrap that proved it was sent: in this drill, or before it if this one failed. */
  readonly provenAt: Instant | null;
  /** Of the unwrap; null if none succeeded. */
  readonly latencyMs: Millis | null;
  /** Points of the vault (B1): all that a failover of everybody would bring there is in `used`, and `ofServer` are what one of this server would. */
  readonly association: { readonly used: number; readonly limit: number; readonly ofServer: number };
  /** Place of its record (`{instance}/{number}`). */
  readonly record: string;
  readonly findings: readonly Finding[];
}

export interface DrillReport {
  readonly server: string;
  readonly at: Instant;
  /** Object id of who asked for it. */
  readonly by: string;
  readonly requestId: string;
  /** A failover of every group of the server would work now. */
  readonly ok: boolean;
  readonly primaries: readonly DrilledPrimary[];
  readonly standbys: readonly DrilledStandby[];
  /** What stands against a failover beside the standbys. */
  readonly findings: readonly Finding[];
}

/** What the watch saw of a vault in the last hour, the present minute included: an entry a minute, null where nobody looked. */
export interface LastHour {
  /** Start of the first minute. */
  readonly from: Instant;
  readonly stepMs: Millis;
  /** The largest part of the rate budget that was used in a window of that minute. */
  readonly rate: readonly (number | null)[];
  /** The worst over all instances. */
  readonly circuit: readonly (CircuitState | null)[];
}

export interface VaultStatus extends VaultView {
  /** Links by their latch. `unknown`: so many rows of what is known of access cannot be read; while there is one, nothing fails over from the vault (F3). */
  readonly latches: { readonly suspected: number; readonly confirmed: number; readonly unknown: number };
  /** Since when the vault does not answer, and since when standbys serve in its stead; null while it answers. */
  readonly outageSince: Instant | null;
  readonly failoverSince: Instant | null;
  readonly lastHour: LastHour;
}

/** A link with a latch (F4), as the store knows it. `since`: when the first denial was received. */
export interface LatchedLink {
  readonly server: string;
  readonly keyId: KeyId;
  readonly vault: string;
  readonly status: 'suspected' | 'confirmed';
  readonly class: DenialClass;
  readonly since: Instant;
}

/** Events that a webhook has not taken yet, when the oldest of them happened, and how many were given up. All zero where none is configured. */
export interface Undelivered {
  readonly count: number;
  readonly oldestAt: Instant | null;
  readonly dead: number;
  readonly webhooks: readonly WebhookStatus[];
  /** Of each webhook the last that were given up, the newest first. */
  readonly deadLetters: readonly DeadEvent[];
}

/**
 * How a webhook stands. `waiting`: nothing was sent there yet; `refusing`: it takes events, but not all; `failing`: it takes none;
 * `stopped`: it answered 410; `unknown`: what is stored of it cannot be read. `since` and `reason` speak of that. At most a thousand events
 * are counted, and those that cannot be read, which wait too.
 */
export interface WebhookStatus {
  readonly name: string;
  readonly host: string;
  readonly state: 'waiting' | 'working' | 'refusing' | 'failing' | 'stopped' | 'unknown';
  readonly since: Instant | null;
  readonly reason: string | null;
  readonly count: number;
  readonly oldestAt: Instant | null;
  readonly dead: number;
}

/** An event that a webhook did not take for three days. */
export interface DeadEvent {
  readonly webhook: string;
  readonly id: string;
  readonly type: EventType;
  readonly subject: string;
  readonly time: Instant;
  readonly diedAt: Instant;
  readonly reason: string;
}

export interface StatusView {
  readonly at: Instant;
  readonly servers: {
    /** The sum of `byState`. */
    readonly total: number;
    readonly byState: Readonly<Record<ServerState, number>>;
    readonly notOnline: Page<ServerStanding>;
  };
  readonly vaults: readonly VaultStatus[];
  /** The worst of all that can be read, at most a hundred; `total`: how many there are. */
  readonly latchedLinks: { readonly total: number; readonly items: readonly LatchedLink[] };
  /** The newest that was begun; null if none was. */
  readonly audit: Audit | null;
  /** The primary of an unlatched group whose newest proof is the oldest of all; null if no primary is proven. */
  readonly oldestProof: { readonly server: string; readonly keyId: KeyId; readonly vault: string; readonly provenAt: Instant } | null;
  readonly undelivered: Undelivered;
  readonly instances: readonly InstanceReport[];
}
