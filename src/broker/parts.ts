import type { AssociationRules } from '../policy/association.ts';
import type { DenialRules } from '../policy/denial.ts';
import type { GateRules } from '../policy/gate.ts';
import type { StateRules } from '../policy/server-state.ts';
import type { Millis } from '../domain/time.ts';
import type { AccessLog } from '../ports/access-log.ts';
import type { Admission } from '../ports/admission.ts';
import type { AssociationLedger } from '../ports/association.ts';
import type { AuditStore } from '../ports/audit-store.ts';
import type { Circuits } from '../ports/circuits.ts';
import type { Clock } from '../ports/clock.ts';
import type { ControlPlane } from '../ports/control-plane.ts';
import type { Deliveries } from '../ports/deliveries.ts';
import type { EventLog } from '../ports/events.ts';
import type { History } from '../ports/history.ts';
import type { Instances } from '../ports/instances.ts';
import type { OperationLog } from '../ports/operation-log.ts';
import type { OwnIdentity } from '../ports/own-identity.ts';
import type { Permissions } from '../ports/permissions.ts';
import type { Registry } from '../ports/registry.ts';
import type { VaultPort } from '../ports/vault.ts';
import type { Webhooks } from '../ports/webhooks.ts';
import type { Latencies } from './latencies.ts';

/** The numbers that the roads go by; all of them settings. */
export interface BrokerRules {
  /** The broker's own tenant (K3). */
  readonly tenant: string;
  /** C5: one attempt. */
  readonly attemptMs: Millis;
  readonly maxStandbys: number;
  readonly association: AssociationRules;
  readonly denial: DenialRules;
  readonly gate: GateRules;
  readonly state: StateRules;
  /** F3: a picture of a vault is at most so old when a standby is called by it. */
  readonly pictureMaxAgeMs: Millis;
  /** F3: the watch renews a primary's proof that is older. */
  readonly proofRenewMs: Millis;
  /** The watch renews a standby's proof that is older. */
  readonly standbyProofRenewMs: Millis;
  /** F6: how many suspects of a vault one pass of the watch looks at. */
  readonly witnessLimit: number;
  /** F2: time between two probes of an open circuit. */
  readonly probeMs: Millis;
  /** A report older than this is of an instance that is gone. */
  readonly instanceGoneMs: Millis;
  /** P1: where more than this share of a vault's rate budget is used, an audit goes on at a trickle only. */
  readonly auditShare: number;
  /** P1: an instance uses at most this share of it for an audit. */
  readonly auditPace: number;
  /** P1: one run of an audit ends after this, before the platform ends the function. */
  readonly auditRunMs: Millis;
}

/** What the roads are built from: the ports and the numbers. */
export interface Parts {
  readonly registry: Registry;
  readonly association: AssociationLedger;
  readonly accessLog: AccessLog;
  readonly vaults: VaultPort;
  readonly latencies: Latencies;
  readonly circuits: Circuits;
  readonly admission: Admission;
  readonly operations: OperationLog;
  readonly events: EventLog;
  readonly webhooks: Webhooks;
  readonly instances: Instances;
  readonly history: History;
  readonly controlPlane: ControlPlane;
  readonly ownIdentity: OwnIdentity;
  readonly permissions: Permissions;
  readonly audits: AuditStore;
  readonly deliveries: Deliveries;
  readonly clock: Clock;
  readonly rules: BrokerRules;
  /** Says a line to the log; never with a secret. */
  readonly log: (level: 'info' | 'warn' | 'error', message: string, about?: Readonly<Record<string, unknown>>) => void;
}
