import { createHash } from 'node:crypto';
import { createAccess } from '../../src/broker/access.ts';
import type { Access } from '../../src/broker/access.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { createOutages } from '../../src/broker/outages.ts';
import { createWatch } from '../../src/broker/watch.ts';
import { createWitness } from '../../src/broker/witness.ts';
import type { LinkAccess, LinkRef } from '../../src/domain/access.ts';
import { Dek } from '../../src/domain/dek.ts';
import type { Fault } from '../../src/domain/fault.ts';
import type { RegisteredServer } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import type { KeyTarget } from '../../src/ports/vault.ts';
import { denialRules, gateRules, noon, stateRules } from './builders.ts';
import { createMemoryAccessLog } from './memory-access-log.ts';
import { createMemoryEventLog } from './memory-event-log.ts';
import { createMemoryHistory } from './memory-history.ts';
import { createMemoryInstances } from './memory-instances.ts';
import { createMemoryRegistry } from './memory-registry.ts';
import { createMemoryStore } from './memory-store.ts';
import type { MemoryStore } from './memory-store.ts';
import { aLink, aVault } from './stored-values.ts';
import { virtualClock } from './virtual-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

const value = new Uint8Array(32).fill(7);

/** A link whose canary the vaults of the rig know. */
export function watchedLink(changes: Parameters<typeof aLink>[0] = {}): ReturnType<typeof aLink> {
  const sha256 = createHash('sha256').update(value).digest('base64url');
  return aLink({ canary: { wrapped: 'AAAA', sha256, algorithm: 'RSA-OAEP-256' }, ...changes });
}

export interface WatchRig {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly access: Access;
  /** Canaries that were sent, by key id. */
  readonly sent: KeyTarget[];
  /** What the vaults answer to an unwrap of this target; undefined: they grant it. */
  answer: (target: KeyTarget) => Fault | undefined;
  /** Key ids at which a canary was wrapped. */
  readonly wrapped: string[];
  /** What was logged. */
  readonly logged: { readonly level: string; readonly message: string; readonly about: unknown }[];
  /** State of the circuits to all vaults. */
  circuit: 'closed' | 'open';
  /** What of it is open is so for wraps alone. */
  wrapsAlone: boolean;
  /** So many canaries more are let through; the others find no room. */
  room: number;
  /** The vaults of which admission was told that they throttle. */
  readonly throttled: string[];
  watch(): Promise<void>;
  /** One more instance on the same store, which has seen nothing yet. */
  another(): Promise<WatchRig>;
  register(...servers: readonly RegisteredServer[]): Promise<void>;
  /** Puts a row as if another instance had stored it. */
  put(access: LinkAccess): Promise<void>;
  row(ref: LinkRef): Promise<LinkAccess | undefined>;
  server(name: string): Promise<RegisteredServer>;
}

/** One instance with the watch over the vaults kv-west and kv-north, memory ports and a virtual clock that begins at noon. */
export async function startWatch(clock = virtualClock(noon), store = createMemoryStore()): Promise<WatchRig> {
  const registry = createMemoryRegistry(store);
  for (const name of ['kv-west', 'kv-north']) await registry.addVault(aVault(name));
  const accessLog = createMemoryAccessLog(store, clock);
  const sent: KeyTarget[] = [];
  const logged: WatchRig['logged'] = [];
  const wrapped: string[] = [];
  const parts = {
    clock,
    registry,
    accessLog,
    vaults: {
      wrap({ keyId }: KeyTarget) {
        wrapped.push(keyId);
        return Promise.resolve({ ok: true, sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1), value: new Uint8Array(8) });
      },
      unwrap(target: KeyTarget) {
        sent.push(target);
        const head = { sentAt: clock.now(), receivedAt: clock.now(), ms: millis(1) };
        const fault = rig.answer(target);
        return Promise.resolve(
          fault === undefined ? { ...head, ok: true, value: new Dek(Uint8Array.from(value)) } : { ...head, ok: false, fault },
        );
      },
    },
    circuits: {
      state: (_vault: string, operation?: string) => ({
        state: rig.wrapsAlone && operation === 'unwrapKey' ? 'closed' : rig.circuit,
        since: null,
      }),
      canary: (_vault: string, _key: string, call: () => unknown) => call(),
      through: (_vault: string, _key: string, call: () => unknown) => call(),
    },
    admission: {
      admit: () => ((rig.room -= 1) < 0 ? millis(1000) : undefined),
      ended: () => undefined,
      throttled: (vault: string) => void rig.throttled.push(vault),
    },
    controlPlane: { vaultStatus: () => Promise.resolve('unknown') },
    latencies: { of: () => ({ p50Ms: null, p99Ms: null }) },
    operations: { instance: 'instance-1', backlog: () => ({ issued: 0, waiting: 0, spilled: 0 }) },
    instances: createMemoryInstances(store),
    history: createMemoryHistory(store),
    events: createMemoryEventLog(store),
    rules: {
      attemptMs: millis(2000),
      pictureMaxAgeMs: millis(1000),
      probeMs: millis(2000),
      instanceGoneMs: millis(45_000),
      witnessLimit: 100,
      proofRenewMs: millis(600_000),
      standbyProofRenewMs: millis(21_600_000),
      denial: denialRules,
      gate: gateRules,
      state: stateRules,
      association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 },
    },
    log: (level: string, message: string, about: unknown) => void logged.push({ level, message, about }),
  } as unknown as Parts;
  const access = createAccess(parts);
  const witness = createWitness(parts, access);
  const rig: WatchRig = {
    clock,
    store,
    access,
    sent,
    answer: () => undefined,
    logged,
    wrapped,
    circuit: 'closed',
    wrapsAlone: false,
    room: Infinity,
    throttled: [],
    watch: createWatch({ parts, access, witness, outages: createOutages(parts, access, witness) }),
    another: () => startWatch(clock, store),
    async register(...servers) {
      for (const next of servers) await registry.changeServer(next.server.name, () => ({ next, events: [] }));
    },
    async put(next) {
      await accessLog.changeLink(next.ref, () => ({ next, events: [] }));
    },
    row: async ({ vault, server, keyId }) =>
      (await accessLog.read(vault)).links.find(({ ref }) => ref.server === server && ref.keyId === keyId),
    async server(name) {
      const registered = await registry.readServer(name);
      if (registered === undefined) throw new Error(`${name} is not registered`);
      return registered;
    },
  };
  return rig;
}
