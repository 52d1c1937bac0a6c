import { createRoads } from '../../../src/broker/compose.ts';
import type { BrokerRules, Parts } from '../../../src/broker/parts.ts';
import type { Roads } from '../../../src/broker/roads.ts';
import { createCircuits } from '../../../src/adapters/circuits.ts';
import { hours, instant, minutes, seconds } from '../../../src/domain/time.ts';
import type { Circuits } from '../../../src/ports/circuits.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import { createMemoryAssociationLedger } from '../../support/memory-association-ledger.ts';
import { createMemoryEventLog } from '../../support/memory-event-log.ts';
import { createMemoryAuditStore } from '../../support/memory-audit-store.ts';
import { createMemoryHistory } from '../../support/memory-history.ts';
import { createMemoryInstances } from '../../support/memory-instances.ts';
import { createMemoryOperationLog } from '../../support/memory-operation-log.ts';
import type { MemoryStore } from '../../support/memory-store.ts';
import type { VirtualClock } from '../../support/virtual-clock.ts';
import { backingOff } from './back-off.ts';
import { simulatedCircuits } from './circuits.ts';
import { simulatedAccessLog, simulatedRegistry } from './store.ts';
import type { Line, Rows, Witnesses } from './store.ts';
import { tenant } from './vaults.ts';
import type { Vaults } from './vaults.ts';

/** The numbers of design section 3. */
export const rules: BrokerRules = {
  tenant,
  attemptMs: seconds(2),
  maxStandbys: 4,
  association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 },
  denial: { witnessAfterMs: seconds(30), forgetAfterMs: minutes(10) },
  gate: { proofMaxAgeMs: minutes(15), standbyProofMaxAgeMs: hours(24), denialQuietMs: minutes(10), clockSkewMs: seconds(2) },
  state: { inaccessibleAfterMs: minutes(10), healsWithinMs: hours(8) },
  pictureMaxAgeMs: seconds(1),
  proofRenewMs: minutes(10),
  standbyProofRenewMs: hours(6),
  witnessLimit: 100,
  probeMs: seconds(2),
  instanceGoneMs: seconds(45),
  auditShare: 0.5,
  auditPace: 0.2,
  auditRunMs: minutes(4),
};

/** One run of an instance, from its start to its kill. */
export interface Instance {
  /** Unique over restarts. */
  readonly name: string;
  readonly line: Line;
  readonly roads: Roads;
  readonly clock: Clock;
  alive: boolean;
  watching: boolean;
}

/** What all instances share. */
export interface Surroundings {
  readonly clock: VirtualClock;
  readonly rows: Rows;
  /** For what the model puts no faults on: events, reports of instances, association. */
  readonly plain: MemoryStore;
  readonly vaults: Vaults;
  readonly witnesses: Witnesses;
  readonly controlPlane: Parts['controlPlane'];
  readonly circuits: 'simulated' | 'opossum';
  /** The circuit of an instance opened or closed. */
  readonly circuit: (vault: string, instance: string, state: 'open' | 'closed') => void;
  /** An instance was told that a vault throttles. */
  readonly throttled: (vault: string, instance: string) => void;
}

/** Starts an instance. `skew` is read at each look at its wall clock, so that it can be changed. */
export function startInstance(around: Surroundings, name: string, own: { readonly line: Line; readonly skew: () => number }): Instance {
  const base = around.clock;
  const clock: Clock = {
    now: () => instant(base.now() + own.skew()),
    elapsed: () => base.elapsed(),
    // A killed process stops between two awaits: whatever it waited for never comes.
    pause: (span, signal) => (instance.alive ? base.pause(span, signal).then(() => (instance.alive ? undefined : never)) : never),
    randomBytes: (size) => base.randomBytes(size),
    uuid: () => base.uuid(),
  };
  const access = { rows: around.rows, line: own.line, clock, instance: name, witnesses: around.witnesses };
  const changed = { hear: (_vault: string, _state: 'open' | 'closed'): void => undefined };
  const parts: Parts = {
    registry: simulatedRegistry(access),
    association: createMemoryAssociationLedger(around.plain, clock),
    accessLog: simulatedAccessLog(access),
    vaults: around.vaults.port(name, clock),
    latencies: { of: () => ({ p50Ms: null, p99Ms: null }) },
    circuits: circuitsOf(around, clock, (vault, state) => changed.hear(vault, state)),
    admission: backingOff(clock, (vault) => around.throttled(vault, name)),
    operations: createMemoryOperationLog(around.plain, { instance: name, log: () => true, queueLength: 0 }),
    events: createMemoryEventLog(around.plain),
    instances: createMemoryInstances(around.plain),
    history: createMemoryHistory(around.plain),
    controlPlane: around.controlPlane,
    audits: createMemoryAuditStore(around.plain),
    ownIdentity: { missing: () => Promise.resolve(null) },
    permissions: { granted: () => Promise.resolve(null) },
    deliveries: notPlayed,
    webhooks: { targets: [], ask: () => neverSent, send: () => neverSent },
    clock,
    rules,
    log: () => undefined,
  };
  const { roads, circuitChanged, startReporting } = createRoads(parts);
  changed.hear = (vault, state) => {
    around.circuit(vault, name, state);
    void circuitChanged(vault, state);
  };
  const instance: Instance = { name, line: own.line, roads, clock, alive: true, watching: false };
  // A killed instance reports no more: its pauses never end.
  startReporting();
  return instance;
}

/** The roads that the model walks have no use for it. */
const notPlayed = new Proxy({} as Parts['deliveries'], {
  get(_, name) {
    throw new Error(`the model does not play ${String(name)}`);
  },
});

/** No webhook is configured. */
const neverSent = new Promise<never>(() => undefined);

const never = new Promise<never>(() => undefined);

function circuitsOf({ circuits }: Surroundings, clock: Clock, onChange: (vault: string, state: 'open' | 'closed') => void): Circuits {
  if (circuits === 'simulated') return simulatedCircuits(clock, onChange);
  return createCircuits({ clock, onChange: ({ vault, state }) => onChange(vault, state) });
}
