import { createCoalesce } from '../../src/broker/coalesce.ts';
import type { Unwrapping } from '../../src/broker/flights.ts';
import type { Tried } from '../../src/broker/key-call.ts';
import { Dek } from '../../src/domain/dek.ts';
import { refuse } from '../../src/domain/refusal.ts';
import type { Tier } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import type { Fleet } from './admission-fleet.ts';
import { keyId } from './stored-values.ts';

/** What asks at once: the storms of `npm run bench -- storm`. */
export interface StormCalls {
  readonly name: string;
  readonly gp: number;
  /** Databases of which each replica asks for the same DEK. */
  readonly bc: number;
}

/** RSA-3072 in an HSM, the slowest that Azure SQL may use: 500 operations in 10 s. */
export const stormKey = { keyType: 'RSA-HSM', keySize: 3072 } as const;
export const replicas = 4;

/** How clients and instances are in a storm. Times in ms. */
export interface StormWeather {
  /** An instance takes up so many requests a millisecond at most: one each so long. */
  readonly takesMs: number;
  /** How long the vault works on a call. */
  readonly callMs: number;
  /** Callers of each further instance come so much later than those of the one before; 0 if absent. */
  readonly apartMs?: number;
  /** How a client reads the announced time: to the millisecond, or as the header has it, in whole seconds. */
  readonly reads: 'ms' | 'seconds';
}

/** What a storm came to. */
export interface Weathered {
  /** Requests in all, and those that were served in the end. */
  readonly requests: number;
  served: number;
  /** Answers other than served or told to come back. */
  defeated: number;
  /** How often a caller came back, and was served then. */
  kept: number;
  broken: number;
  /** From the beginning to the last answer. */
  lastMs: number;
  /** How many were served at once: in the first two seconds. */
  atOnce: number;
}

const requestMs = 10_000;
const attemptMs = 2000;

interface Host {
  readonly server: string;
  readonly tier: Tier;
  readonly instance: number;
  readonly dek: string;
}

/** Lets all ask at once, each coming back as it is told, and moves the clock until the last is done or given up. */
export async function weather(subject: Fleet, calls: StormCalls, how: StormWeather, withinMs = 180_000): Promise<Weathered> {
  const { clock, instances } = subject;
  const began = clock.elapsed();
  const hosts = hostsOf(calls, instances.length);
  const seen: Weathered = { requests: hosts.length, served: 0, defeated: 0, kept: 0, broken: 0, lastMs: 0, atOnce: 0 };
  const flights = instances.map(() => createCoalesce(clock));
  const free = instances.map(() => began as number);

  async function request({ server, tier, instance, dek }: Host): Promise<Tried<Dek>> {
    const takenAt = Math.max(clock.elapsed(), free[instance] ?? 0) + how.takesMs;
    free[instance] = takenAt;
    const deadline = clock.elapsed() + requestMs;
    await clock.pause(millis(takenAt - clock.elapsed()));
    const points = tier === 'GeneralPurpose' ? 2 : 5;
    const target = { server, keyId: keyId(), identity: null };
    const wanted: Unwrapping = { target, algorithm: 'RSA-OAEP-256', wrappedDek: Buffer.from(dek) };
    const share = flights[instance]?.share.bind(flights[instance]) ?? (() => Promise.reject(new Error('no such instance')));
    return share(wanted, deadline, async () => {
      const within = millis(Math.max(0, deadline - clock.elapsed() - attemptMs / 2));
      const answer = await subject.ask(instance, { server, tier, points, within, key: stormKey });
      if (!answer.passed) return refused('Throttled', answer.comeBack);
      if (deadline - clock.elapsed() < attemptMs / 4) return refused('DeadlineExceeded');
      await clock.pause(millis(how.callMs));
      const attempt = { vault: 'kv-west', role: 'primary', class: 'ok', status: 200, vaultCode: null, ms: millis(how.callMs) } as const;
      return { kind: 'served', value: new Dek(new Uint8Array(16)), attempt };
    });
  }

  async function client(host: Host): Promise<void> {
    await clock.pause(millis((how.apartMs ?? 0) * host.instance));
    for (let tries = 0; ; tries += 1) {
      const tried = await request(host);
      seen.lastMs = Math.max(seen.lastMs, clock.elapsed() - began);
      if (tries > 0) seen[tried.kind === 'served' ? 'kept' : 'broken'] += 1;
      if (tried.kind === 'served') seen.served += 1;
      if (tried.kind === 'served' && clock.elapsed() - began < 2000) seen.atOnce += 1;
      const comeBack = tried.kind === 'refused' ? tried.refusal.retryAfterMs : undefined;
      if (tried.kind === 'served' || comeBack === undefined) {
        if (tried.kind !== 'served') seen.defeated += 1;
        return;
      }
      await clock.pause(how.reads === 'ms' ? comeBack : millis(Math.ceil(comeBack / 1000) * 1000));
    }
  }

  const all = hosts.map(client);
  let done = 0;
  for (const one of all) void one.then(() => (done += 1));
  while (done < all.length && clock.elapsed() - began < withinMs) await clock.advance(100);
  return seen;
}

function hostsOf({ gp, bc }: StormCalls, n: number): Host[] {
  const count = (length: number): number[] => Array.from({ length }, (_, k) => k);
  const general = count(gp).map((k): Host => ({
    server: `gp-${Math.floor(k / 10)}`,
    tier: 'GeneralPurpose',
    instance: k % n,
    dek: `gp-${k}`,
  }));
  const critical = count(bc).flatMap((k) =>
    count(replicas).map((r): Host => ({ server: `bc-${Math.floor(k / 10)}`, tier: 'BusinessCritical', instance: r % n, dek: `bc-${k}` })),
  );
  return [...general, ...critical];
}

function refused(code: 'Throttled' | 'DeadlineExceeded', retryAfterMs?: number): Tried<never> {
  const hint = retryAfterMs === undefined ? { retryable: true } : { retryable: true, retryAfterMs: millis(retryAfterMs) };
  return { kind: 'refused', refusal: refuse(code, 'in the simulation', hint).refusal, attempt: null };
}
