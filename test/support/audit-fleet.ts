import { createHash } from 'node:crypto';
import { createRoads } from '../../src/broker/compose.ts';
import type { BrokerRules, Parts } from '../../src/broker/parts.ts';
import type { Roads } from '../../src/broker/roads.ts';
import type { BrokerEvent } from '../../src/domain/event.ts';
import type { NumberedRecord } from '../../src/domain/operation.ts';
import type { Canary, Link, Server } from '../../src/domain/server.ts';
import { instant, millis, minutes } from '../../src/domain/time.ts';
import type { Millis } from '../../src/domain/time.ts';
import type { Admission } from '../../src/ports/admission.ts';
import type { AuditFinding } from '../../src/domain/audit.ts';
import { simulatedCircuits } from '../model/world/circuits.ts';
import { keyIdOf, simulatedVaults, thumbprintOf, vaultNamed, wrapped } from '../model/world/vaults.ts';
import type { KeyName, VaultName, Vaults } from '../model/world/vaults.ts';
import { createMemoryAccessLog } from './memory-access-log.ts';
import { createMemoryAssociationLedger } from './memory-association-ledger.ts';
import { createMemoryAuditStore } from './memory-audit-store.ts';
import { createMemoryEventLog } from './memory-event-log.ts';
import { createMemoryHistory } from './memory-history.ts';
import { createMemoryInstances } from './memory-instances.ts';
import { createMemoryOperationLog } from './memory-operation-log.ts';
import { createMemoryRegistry } from './memory-registry.ts';
import { createMemoryStore } from './memory-store.ts';
import type { MemoryStore } from './memory-store.ts';
import { aRegistered, aServer } from './stored-values.ts';
import { rules as modelRules } from '../model/world/instance.ts';
import { virtualClock } from './virtual-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

const rules: BrokerRules = { ...modelRules, auditRunMs: minutes(8) };

/** The rate budget of the simulated vaults: `used` is what traffic uses of 1000 points, of those in `busy` all. */
export interface SimulatedBudget extends Admission {
  used: number;
  readonly busy: Set<string>;
  /** Points that audits took. */
  audited: number;
}

function simulatedBudget(): SimulatedBudget {
  const usedOf = (vault: string): number => (budget.busy.has(vault) ? 1000 : budget.used);
  const budget: SimulatedBudget = {
    used: 0,
    busy: new Set(),
    audited: 0,
    admit(request): Millis | undefined {
      if (usedOf(request.vault) + request.points > 1000) return millis(1000);
      if (request.class === 'audit') budget.audited += request.points;
      return undefined;
    },
    keep: (_, { comeBack }) => Promise.resolve(comeBack),
    ended: () => undefined,
    throttled: () => millis(1000),
    usage: (vault) => Promise.resolve({ used: usedOf(vault), limit: 1000, windowMs: millis(10_000), byKeyType: {} }),
  };
  return budget;
}

/** One run of a broker instance. */
export interface AuditInstance {
  readonly roads: Roads;
  readonly budget: SimulatedBudget;
  /** What it said to the log. */
  readonly lines: readonly { readonly level: string; readonly message: string; readonly about: object }[];
  /** As `kill -9` would: whatever it waits for never comes, and it stores nothing more. */
  kill(): void;
}

/** Servers in simulated vaults, audited by instances that share a store in memory. Time stands still until it is moved. */
export interface AuditFleet {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly vaults: Vaults;
  /** Records of all instances (P3). */
  readonly records: readonly NumberedRecord[];
  start(name: string, changes?: Partial<Parts>): AuditInstance;
  /** Registers a server with a protector in West and a standby of it in North, unless `links` says otherwise. */
  addServer(name: string, changes?: { readonly server?: Partial<Server>; readonly links?: readonly Link[] }): Promise<void>;
  removeServer(name: string): Promise<void>;
  /** Runs an instance's timer, moving time on until it is done, for at most so long. */
  audit(instance: AuditInstance, most?: number): Promise<void>;
  findings(instance: AuditInstance, slot: string, changes?: readonly AuditFinding['change'][]): Promise<readonly AuditFinding[]>;
  events(type: BrokerEvent['type']): Promise<readonly BrokerEvent[]>;
}

const plain = new Uint8Array(32).fill(7);
const never = new Promise<never>(() => undefined);

function canaryOf(key: KeyName): Canary {
  const text = Buffer.from(wrapped(key, plain)).toString('base64url');
  return { wrapped: text, sha256: createHash('sha256').update(plain).digest('base64url'), algorithm: 'RSA-OAEP-256' };
}

/** A link to a key of the simulated vaults. */
export function linkTo(vault: VaultName, key: KeyName, changes: Partial<Link> = {}): Link {
  return {
    keyId: keyIdOf(vault, key),
    role: 'protector',
    vault,
    keyType: 'RSA-HSM',
    keySize: 2048,
    thumbprint: thumbprintOf(key),
    standbyOf: null,
    rank: 0,
    canary: canaryOf(key),
    protectorFrom: instant(0),
    protectorTo: null,
    linkedAt: instant(0),
    ...changes,
  };
}

export function standbyOf(primary: Link, vault: VaultName, key: KeyName): Link {
  return linkTo(vault, key, { role: 'standby', standbyOf: primary.keyId, protectorFrom: null, canary: primary.canary });
}

export async function auditFleet(start = Date.UTC(2026, 10, 22, 6, 0, 1)): Promise<AuditFleet> {
  const clock = virtualClock(start);
  const store = createMemoryStore();
  const vaults = simulatedVaults(() => clock.elapsed(), String);
  const registry = createMemoryRegistry(store);
  const records: NumberedRecord[] = [];
  for (const name of ['west', 'north', 'south'] as const) await registry.addVault(vaultNamed(name));

  function startInstance(name: string, changes: Partial<Parts> = {}): AuditInstance {
    const life = { alive: true };
    const own: VirtualClock = {
      ...clock,
      pause: (span, signal) => (life.alive ? clock.pause(span, signal).then(() => (life.alive ? undefined : never)) : never),
    };
    const ownStore: MemoryStore = {
      ...store,
      change: (key, absent, decide) => (life.alive ? store.change(key, absent, decide) : never),
    };
    const budget = simulatedBudget();
    const lines: AuditInstance['lines'][number][] = [];
    const parts: Parts = {
      registry: createMemoryRegistry(ownStore),
      association: createMemoryAssociationLedger(ownStore, own),
      accessLog: createMemoryAccessLog(ownStore, own),
      vaults: vaults.port(name, own),
      latencies: { of: () => ({ p50Ms: null, p99Ms: null }) },
      circuits: simulatedCircuits(own, () => undefined),
      admission: budget,
      operations: createMemoryOperationLog(ownStore, { instance: name, log: (record) => records.push(record) > 0, queueLength: 0 }),
      events: createMemoryEventLog(ownStore),
      instances: createMemoryInstances(ownStore),
      history: createMemoryHistory(ownStore),
      controlPlane: { vaultStatus: () => Promise.resolve('exists') },
      ownIdentity: { missing: () => Promise.resolve(null) },
      permissions: { granted: () => Promise.resolve(null) },
      audits: createMemoryAuditStore(ownStore),
      deliveries: { read: unused, change: unused, bury: unused, deadLetters: unused },
      webhooks: { targets: [], ask: unused, send: unused },
      clock: own,
      rules,
      log: (level, message, about = {}) => void lines.push({ level, message, about }),
      ...changes,
    };
    return { roads: createRoads(parts).roads, budget, lines, kill: () => void (life.alive = false) };
  }

  return {
    clock,
    store,
    vaults,
    records,
    start: startInstance,
    async addServer(name, { server = {}, links } = {}) {
      const primary = linkTo('west', 'k1');
      const registered = aRegistered(name, [['orders', 'GeneralPurpose']], links ?? [primary, standbyOf(primary, 'north', 'k1')]);
      const next = { ...registered, server: aServer(name, { region: 'westeurope', ...server }) };
      await registry.changeServer(name, () => ({ next, events: [] }));
    },
    async removeServer(name) {
      await registry.changeServer(name, () => ({ next: null, events: [] }));
    },
    async audit({ roads }, most = 480_000) {
      const run = { over: false };
      void roads.auditPermissions().then(() => (run.over = true));
      for (let passed = 0; passed < most && !run.over; passed += 500) await clock.advance(500);
    },
    async findings({ roads }, slot, changes = ['new', 'continued']) {
      const context = { caller: { objectId: 'o', roles: new Set<never>() }, requestId: 'r', deadline: Infinity };
      const answer = await roads.getAudit({ slot, after: null, limit: 1000, changes }, context);
      if (!answer.ok) throw new Error(answer.refusal.detail);
      return answer.value.findings.items;
    },
    async events(type) {
      const { items } = await createMemoryEventLog(store).page({ after: null, limit: 10_000, since: null, subject: null });
      return items.filter((event) => event.type === type);
    },
  };
}

/** The audit has no use for it. */
const unused = (): Promise<never> => Promise.reject(new Error('an audit does not do this'));
