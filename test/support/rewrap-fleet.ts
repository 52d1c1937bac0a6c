import { createAttempts } from '../../src/broker/attempt.ts';
import { createAtGroup } from '../../src/broker/failover.ts';
import type { AttemptParts } from '../../src/broker/key-call.ts';
import { createOperate } from '../../src/broker/operate.ts';
import type { Roads } from '../../src/broker/roads.ts';
import { Dek } from '../../src/domain/dek.ts';
import type { Link, RegisteredServer } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import type { Admission } from '../../src/ports/admission.ts';
import type { KeyTarget, Reply, VaultPort } from '../../src/ports/vault.ts';
import { fleet } from './admission-fleet.ts';
import { aContext, aRegisteredWith } from './builders.ts';
import { aVault } from './stored-values.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** A call that a vault saw, at its true time. */
export interface Seen {
  readonly at: number;
  readonly vault: string;
  readonly operation: 'unwrap' | 'wrap';
}

/** Instances that rewrap, each by the real road with the real admission, before vaults that grant everything. */
export interface RewrapFleet {
  readonly clock: VirtualClock;
  readonly calls: readonly Seen[];
  /** Asks for a DEK of a server. `k` names the DEK. */
  ask<Operation extends 'unwrap' | 'rewrap'>(
    operation: Operation,
    instance: number,
    k: number,
    server?: string,
  ): ReturnType<Roads[Operation]>;
  /** What rewraps came to that a crowd of callers asked for at once, each coming back as it is told. */
  storm(count: number, how: { readonly servers: number; readonly reads: 'ms' | 'seconds' }): Promise<Stormed>;
}

export interface Stormed {
  done: number;
  /** How often a caller came back, and was served then. */
  kept: number;
  broken: number;
  lastMs: number;
}

const requestMs = 10_000;

/** A storm that has not ended by then never does. */
const giveUpMs = 120_000;

/** How long a vault works on a call. */
const callMs = 50;

/**
 * @param links of each of the servers; the protector among them.
 * @param options.script what each instance is admitted by, if not by the real admission.
 */
export function rewrapFleet(
  skews: readonly number[],
  links: readonly Link[],
  { script, seed }: { readonly script?: Partial<Admission>; readonly seed?: number } = {},
): RewrapFleet {
  const { clock, instances: real } = fleet(skews, seed === undefined ? {} : { seed });
  const admissions = real.map((admission): Admission => ({ ...admission, ...script }));
  const calls: Seen[] = [];
  const databases = new Map(Array.from({ length: 20 }, (_, k) => [`db-${k}`, 'GeneralPurpose'] as const));
  const serverOf = (name: string): RegisteredServer => ({ ...aRegisteredWith({ name }), links, databases });

  async function answer<T>({ vault }: KeyTarget, operation: 'unwrap' | 'wrap', value: T): Promise<Reply<T>> {
    const sentAt = clock.now();
    calls.push({ at: clock.elapsed(), vault: vault.name, operation });
    await clock.pause(millis(callMs));
    return { ok: true, value, sentAt, receivedAt: clock.now(), ms: millis(callMs) };
  }
  const vaults: Pick<VaultPort, 'wrap' | 'unwrap'> = {
    wrap: (target) => answer(target, 'wrap', new Uint8Array(256)),
    unwrap: (target) => answer(target, 'unwrap', new Dek(new Uint8Array(32))),
  };

  const instances = admissions.map((admission) => {
    const parts = {
      admission,
      clock,
      vaults,
      registry: {
        peekServer: serverOf,
        peekVault: (name: string) => aVault(name),
        readServer: (name: string) => Promise.resolve(serverOf(name)),
      },
      circuits: {
        state: () => ({ state: 'closed', since: null }),
        through: (_vault: string, _key: string, call: () => unknown) => call(),
      },
      operations: { append: () => 1, instance: 'instance-1' },
      rules: {
        attemptMs: millis(2000),
        probeMs: millis(2000),
        association: { points: { GeneralPurpose: 2, BusinessCritical: 5 }, limit: 1000 },
      },
    };
    const all = {
      parts,
      access: { known: () => undefined, proven: () => Promise.resolve(), allowed: () => undefined },
      outages: { answered: () => undefined, lookAgain: () => undefined, failedOver: () => undefined },
      witness: {},
    } as unknown as AttemptParts;
    return createOperate(all.parts, createAtGroup(all, createAttempts(all)));
  });

  const old = links.find(({ role }) => role === 'additional') ?? links[0];
  if (old === undefined) throw new Error('no link');
  const subject: RewrapFleet = {
    clock,
    calls,
    ask(operation, instance, k, server = 'sql-0') {
      const roads = instances[instance];
      if (roads === undefined) throw new Error(`no instance ${instance}`);
      const wrappedDek = Uint8Array.of(k >> 8, k & 255);
      const target = { server, database: `db-${k % 20}` };
      const request = { ...target, wrappedDek, thumbprint: old.thumbprint, algorithm: 'RSA-OAEP-256' } as const;
      const context = { ...aContext(), deadline: clock.elapsed() + requestMs };
      return roads[operation](request, context) as ReturnType<Roads[typeof operation]>;
    },
    async storm(count, { servers, reads }) {
      const began = clock.elapsed();
      const seen: Stormed = { done: 0, kept: 0, broken: 0, lastMs: 0 };
      const client = async (k: number): Promise<void> => {
        for (let tries = 0; clock.elapsed() - began < giveUpMs; tries += 1) {
          const outcome = await subject.ask('rewrap', k % instances.length, k, `sql-${k % servers}`);
          if (tries > 0) seen[outcome.ok ? 'kept' : 'broken'] += 1;
          if (outcome.ok) {
            seen.done += 1;
            seen.lastMs = clock.elapsed() - began;
            return;
          }
          const comeBack = outcome.refusal.retryAfterMs ?? 1000;
          await clock.pause(reads === 'ms' ? millis(comeBack) : millis(Math.ceil(comeBack / 1000) * 1000));
        }
      };
      let gone = 0;
      const all = Array.from({ length: count }, (_, k) => client(k).finally(() => (gone += 1)));
      while (gone < count) await clock.advance(100);
      await Promise.all(all);
      return seen;
    },
  };
  return subject;
}
