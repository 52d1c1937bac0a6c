import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { createRoads } from '../../src/broker/compose.ts';
import type { Parts } from '../../src/broker/parts.ts';
import type { Roads } from '../../src/broker/roads.ts';
import type { LinkAccess } from '../../src/domain/access.ts';
import type { RequestContext } from '../../src/domain/caller.ts';
import { Dek } from '../../src/domain/dek.ts';
import type { Fault } from '../../src/domain/fault.ts';
import type { KeyId } from '../../src/domain/key.ts';
import type { RegisteredServer } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import type { AccessLog } from '../../src/ports/access-log.ts';
import type { KeyTarget, Reply, VaultPort } from '../../src/ports/vault.ts';
import { aCaller, aContext, denialRules, gateRules, noon, someFacts, stateRules } from './builders.ts';
import { createMemoryAccessLog } from './memory-access-log.ts';
import { createMemoryAssociationLedger } from './memory-association-ledger.ts';
import { createMemoryEventLog } from './memory-event-log.ts';
import { createMemoryInstances } from './memory-instances.ts';
import { createMemoryOperationLog } from './memory-operation-log.ts';
import { createMemoryRegistry } from './memory-registry.ts';
import { createMemoryStore } from './memory-store.ts';
import type { MemoryStore } from './memory-store.ts';
import { aVault, keyId, thumbprint } from './stored-values.ts';
import { virtualClock } from './virtual-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

export const [west, north] = [keyId('kv-west'), keyId('kv-north')];

/** One key pair for all keys of the rig: they are copies of the same material. */
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = publicKey.export({ format: 'jwk' });
const facts = someFacts({ thumbprint: thumbprint(), publicKey: { n: String(jwk.n), e: String(jwk.e) } });

export type Call = `${string} ${'get' | 'wrap' | 'unwrap'}`;

/** The roads of one instance that sets, drops and proves keys, over the vaults kv-west and kv-north and memory ports. */
export interface KeyRoadsRig {
  readonly roads: Roads;
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly accessLog: AccessLog;
  /** Calls that the vaults saw, in order, e.g. `kv-west unwrap`. */
  readonly calls: Call[];
  /** Vaults that were told to slow down. */
  readonly throttled: string[];
  /** What the vaults answer to a call; undefined: they grant it. */
  answer: (call: Call) => Fault | undefined | Promise<Fault | undefined>;
  readonly operator: RequestContext;
  /** Another instance on the same store, which has seen nothing yet. */
  another(): KeyRoadsRig;
  /** Registers sql-demo as it stands here. */
  register(registered: RegisteredServer): Promise<void>;
  server(): Promise<RegisteredServer | undefined>;
  row(key?: KeyId): Promise<LinkAccess | undefined>;
}

export async function startKeyRoads(): Promise<KeyRoadsRig> {
  const clock = virtualClock(noon);
  const store = createMemoryStore();
  const registry = createMemoryRegistry(store);
  await registry.addVault({ ...aVault('kv-west') });
  await registry.addVault({ ...aVault('kv-north'), region: 'northeurope' });
  return instance(clock, store, 1);
}

function instance(clock: VirtualClock, store: MemoryStore, number: number): KeyRoadsRig {
  const registry = createMemoryRegistry(store);
  const accessLog = createMemoryAccessLog(store, clock);

  async function reply<T>({ vault }: KeyTarget, operation: 'get' | 'wrap' | 'unwrap', value: () => T): Promise<Reply<T>> {
    const sentAt = clock.now();
    const call: Call = `${vault.name} ${operation}`;
    rig.calls.push(call);
    const fault = await rig.answer(call);
    const head = { sentAt, receivedAt: clock.now(), ms: millis(1) };
    return fault === undefined ? { ...head, ok: true, value: value() } : { ...head, ok: false, fault };
  }

  const vaults: VaultPort = {
    get: (target) => reply(target, 'get', () => ({ ...facts, keyId: target.keyId })),
    wrap: (target, dek) => {
      const wrapped = Uint8Array.from(dek.reveal());
      return reply(target, 'wrap', () => wrapped);
    },
    unwrap: (target, wrapped) => reply(target, 'unwrap', () => new Dek(opened(wrapped))),
  };
  const parts = {
    registry,
    accessLog,
    vaults,
    clock,
    association: createMemoryAssociationLedger(store, clock),
    latencies: { of: () => ({ p50Ms: null, p99Ms: null }) },
    circuits: {
      state: () => ({ state: 'closed', since: null }),
      through: (_vault: string, _key: string, call: () => unknown) => call(),
      canary: (_vault: string, _key: string, call: () => unknown) => call(),
    },
    admission: { admit: () => undefined, ended: () => undefined, throttled: (vault: string) => (rig.throttled.push(vault), millis(1000)) },
    operations: createMemoryOperationLog(store, { instance: `instance-${number}`, log: () => true, queueLength: 0 }),
    events: createMemoryEventLog(store),
    instances: createMemoryInstances(store),
    controlPlane: { vaultStatus: () => Promise.resolve('unknown') },
    ownIdentity: { missing: () => Promise.resolve(null) },
    permissions: { granted: () => Promise.resolve(null) },
    webhooks: { targets: [] },
    rules: {
      tenant: 'tenant-1',
      attemptMs: millis(2000),
      maxStandbys: 4,
      association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 },
      denial: denialRules,
      gate: gateRules,
      state: stateRules,
      pictureMaxAgeMs: millis(1000),
      proofRenewMs: millis(600_000),
      standbyProofRenewMs: millis(21_600_000),
      witnessLimit: 100,
      probeMs: millis(2000),
      instanceGoneMs: millis(45_000),
    },
    log: () => undefined,
  } as unknown as Parts;
  const rig: KeyRoadsRig = {
    roads: createRoads(parts).roads,
    clock,
    store,
    accessLog,
    calls: [],
    throttled: [],
    answer: () => undefined,
    operator: aContext(aCaller(['KeyBroker.Operator'])),
    another: () => instance(clock, store, number + 1),
    async register(next) {
      await registry.changeServer(next.server.name, () => ({ next, events: [] }));
    },
    server: () => registry.readServer('sql-demo'),
    row: async (key = west) =>
      [...(await accessLog.read('kv-west')).links, ...(await accessLog.read('kv-north')).links].find(({ ref }) => ref.keyId === key),
  };
  return rig;
}

/** What the vaults of the rig wrap they hand back as it is; what was wrapped with the public key is as long as its modulus. */
function opened(wrapped: Uint8Array): Uint8Array {
  if (wrapped.length < 256) return Uint8Array.from(wrapped);
  return privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, wrapped);
}
