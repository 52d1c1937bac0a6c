import { AsyncLocalStorage } from 'node:async_hooks';
import type { RequestContext, Role } from '../../../src/domain/caller.ts';
import type { KeyId } from '../../../src/domain/key.ts';
import type { Outcome } from '../../../src/domain/refusal.ts';
import type { RegisteredServer } from '../../../src/domain/server.ts';
import { Dek } from '../../../src/domain/dek.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { settled, virtualClock } from '../../support/virtual-clock.ts';
import type { VirtualClock } from '../../support/virtual-clock.ts';
import type { UnwrapAnswer, WrapAnswer } from '../../../src/broker/roads.ts';
import { database, dekOf, plans, principalOf, provenLinks, registeredServers, registeredVaults } from './fleet.ts';
import { startInstance } from './instance.ts';
import type { Instance, Surroundings } from './instance.ts';
import { soundLine } from './store.ts';
import type { Rows, Witnesses } from './store.ts';
import { simulatedVaults, thumbprintOf, wrapped } from './vaults.ts';
import type { Call, KeyName, Vaults } from './vaults.ts';

/** An operation that the model asked for. */
export interface Asked {
  readonly server: string;
  readonly operation: 'wrap' | 'unwrap';
  readonly key: KeyName;
  readonly instance: Instance;
  readonly begunAt: number;
  answer: Outcome<WrapAnswer | UnwrapAnswer> | undefined;
}

/** Who hears what happens, as it happens. */
export interface Observer extends Witnesses {
  called(call: Call): void;
  answered(call: Call): void;
  heard(asked: Asked): void;
  /** The circuit of an instance opened or closed (F2). */
  circuit(vault: string, instance: string, state: 'open' | 'closed'): void;
  /** An instance was told that a vault throttles (F7). */
  throttled(vault: string, instance: string): void;
}

/** Keys that are proven for a server on an operator's word (K4), the primary first. */
export interface Naming {
  readonly server: string;
  readonly keyIds: readonly KeyId[];
  /** The primary is known to deny: its standbys are not called before it has granted access. */
  readonly primaryDenies?: boolean;
}

/** A work of an operator that names keys, while it is under way. */
export interface Proving extends Naming {
  /** True time. */
  readonly begunAt: number;
}

export interface WorldOptions {
  readonly seed: number;
  /** Whether the control plane may be read (F9). */
  readonly controlPlane: boolean;
  readonly circuits?: 'simulated' | 'opossum';
}

export interface World {
  readonly clock: VirtualClock;
  readonly rows: Rows;
  readonly vaults: Vaults;
  readonly options: WorldOptions;
  /** The two places where an instance runs; a place keeps its line and its skew when its instance is killed. */
  readonly places: readonly Place[];
  observer: Observer;
  /** True time of the newest disturbance of a wall clock. */
  jumpedAt: number;
  /** Whether a wall clock was ever wrong by more than the two seconds that the broker allows for. */
  clocksWrong: boolean;
  /** How far any wall clock was ahead of true time at most. */
  wallAhead: number;
  /** True time of the last change of any line to the store. */
  lineChangedAt: number;
  /** Vaults that were deleted at any time. */
  readonly deletions: Set<string>;
  now(): number;
  /** As it is stored; undefined: there is no such server. */
  newest(server: string): RegisteredServer | undefined;
  ask(place: number, what: Pick<Asked, 'server' | 'operation' | 'key'>): Asked;
  /** An operator's work at an instance, beside what the model does next. */
  operate(place: number, work: (instance: Instance, context: RequestContext) => Promise<unknown>, naming?: Naming): void;
  /** The work of an operator that makes this call, if it named the key, the primary first. To be asked as the call is made, or answered. */
  provingFor(call: Pick<Call, 'keyId'>): readonly Proving[];
  watch(place: number): void;
  kill(place: number): void;
  /** Moves time on; the watch runs each 15 s, by the two instances in turn. */
  pass(ms: number): Promise<void>;
}

export interface Place {
  readonly line: ReturnType<typeof soundLine>;
  skew: number;
  instance: Instance;
}

const watchEveryMs = 15_000;
const requestMs = 10_000;

export function createWorld(options: WorldOptions): World {
  const clock = virtualClock(undefined, options.seed);
  const now = (): number => clock.elapsed();
  const vaults = simulatedVaults(now, (mark) => plans[mark]!.name);
  const servers = registeredServers(clock.now());
  const rows: Rows = {
    links: new Map(provenLinks(servers, clock.now())),
    healths: new Map(),
    servers: new Map(servers.map((value) => [value.server.name, [{ from: -60_000, value }]])),
    vaults: registeredVaults,
  };
  const quiet: Observer = {
    link: () => undefined,
    server: () => undefined,
    health: () => undefined,
    called: () => undefined,
    answered: () => undefined,
    heard: () => undefined,
    circuit: () => undefined,
    throttled: () => undefined,
  };
  const around: Surroundings = {
    clock,
    rows,
    plain: createMemoryStore(),
    vaults,
    witnesses: {
      link: (...change) => world.observer.link(...change),
      server: (...change) => world.observer.server(...change),
      health: (...change) => world.observer.health(...change),
    },
    controlPlane: {
      vaultStatus: ({ name }) =>
        Promise.resolve(!options.controlPlane ? 'unknown' : vaults.truth.get(name)?.deleted ? 'deleted' : 'exists'),
    },
    circuits: options.circuits ?? 'simulated',
    circuit: (...change) => world.observer.circuit(...change),
    throttled: (vault, instance) => world.observer.throttled(vault, instance),
  };
  vaults.onCall = (call) => world.observer.called(call);
  vaults.onAnswer = (call) => world.observer.answered(call);

  const proving = new Set<Proving>();
  /** The work that a call is made by, exactly: it goes with whatever the work waits for. */
  const byWork = new AsyncLocalStorage<Proving>();
  let runs = 0;
  let nextWatch = watchEveryMs;
  let turn = 0;

  function openPlace(): Place {
    const own = { line: soundLine(), skew: 0 };
    return Object.assign(own, { instance: startInstance(around, `run-${(runs += 1)}`, { line: own.line, skew: () => own.skew }) });
  }

  function contextOf(instance: Instance, objectId: string, role: Role): RequestContext {
    return { caller: { objectId, roles: new Set([role]) }, requestId: 'r', deadline: instance.clock.elapsed() + requestMs };
  }
  const hostContext = (instance: Instance, server: string): RequestContext => contextOf(instance, principalOf(server), 'KeyBroker.Host');
  const operatorContext = (instance: Instance): RequestContext => contextOf(instance, 'operator', 'KeyBroker.Operator');

  const world: World = {
    clock,
    rows,
    vaults,
    options,
    places: [openPlace(), openPlace()],
    observer: quiet,
    jumpedAt: -Infinity,
    clocksWrong: false,
    wallAhead: clock.now() - now(),
    lineChangedAt: -Infinity,
    deletions: new Set(),
    now,
    newest: (server) => rows.servers.get(server)?.at(-1)?.value,

    ask(at, what) {
      const { instance } = world.places[at]!;
      const asked: Asked = { ...what, instance, begunAt: now(), answer: undefined };
      const target = { server: what.server, database };
      const answer: Promise<Outcome<WrapAnswer | UnwrapAnswer>> =
        what.operation === 'wrap'
          ? instance.roads.wrap(
              { ...target, dek: new Dek(dekOf(what.server)), algorithm: 'RSA-OAEP-256' },
              hostContext(instance, what.server),
            )
          : instance.roads.unwrap(
              {
                ...target,
                wrappedDek: wrapped(what.key, dekOf(what.server)),
                thumbprint: thumbprintOf(what.key),
                algorithm: 'RSA-OAEP-256',
              },
              hostContext(instance, what.server),
            );
      inBackground(
        answer.then((outcome) => {
          asked.answer = outcome;
          world.observer.heard(asked);
        }),
      );
      return asked;
    },

    operate(at, work, naming) {
      const { instance } = world.places[at]!;
      const underWay = { server: '', keyIds: [], ...naming, begunAt: world.now() };
      proving.add(underWay);
      inBackground(byWork.run(underWay, () => work(instance, operatorContext(instance))).finally(() => proving.delete(underWay)));
    },

    provingFor({ keyId }) {
      const work = byWork.getStore();
      // A probe that a work began goes on after it, and is of nobody's work.
      return work !== undefined && proving.has(work) && work.keyIds.includes(keyId) ? [work] : [];
    },

    watch(at) {
      const { instance } = world.places[at]!;
      // The host runs a timer's function once at a time.
      if (instance.watching) return;
      instance.watching = true;
      inBackground(
        instance.roads.watch().finally(() => {
          instance.watching = false;
        }),
      );
    },

    kill(at) {
      const place = world.places[at]!;
      place.instance.alive = false;
      place.instance = startInstance(around, `run-${(runs += 1)}`, { line: place.line, skew: () => place.skew });
    },

    async pass(ms) {
      const end = now() + ms;
      while (nextWatch <= end) {
        await clock.advance(nextWatch - now());
        world.watch(turn);
        turn = 1 - turn;
        nextWatch += watchEveryMs;
        failIfBroken();
      }
      await clock.advance(end - now());
      await settled();
      failIfBroken();
    },
  };

  // What goes wrong in the background is a defect too, and is told by the step that it happens in.
  let broken: unknown;
  function inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) => (broken ??= error));
  }
  function failIfBroken(): void {
    if (broken === undefined) return;
    const error = broken;
    broken = undefined;
    throw error instanceof Error ? error : new Error('a road rejected with something that is no error');
  }
  return world;
}
