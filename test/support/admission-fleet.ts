import { createAdmission } from '../../src/broker/admission.ts';
import { documentedLimits } from '../../src/domain/service-limits.ts';
import { millis } from '../../src/domain/time.ts';
import { serviceCost, serviceUnits, shapeName } from '../../src/policy/rate.ts';
import type { RateRules } from '../../src/policy/rate.ts';
import type { Admission, AdmissionRequest } from '../../src/ports/admission.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { simulatedStore } from './simulated-ledger.ts';
import type { SimulatedStore } from './simulated-ledger.ts';
import { virtualClock } from './virtual-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** The rules with the numbers of design section 3. */
export const rules: RateRules = {
  points: 1000,
  windowMs: millis(10_000),
  serviceLimits: documentedLimits,
  serviceShare: 0.8,
  probeShare: 0.05,
  leaseMs: millis(1000),
  attemptMs: millis(2000),
  clockSkewMs: millis(2000),
  awayShare: 0.1,
};

/** One call that was let through to the vault, and when it came there, by the true time. */
export interface Passed {
  readonly at: number;
  readonly arrived: number;
  readonly instance: number;
  readonly server: string;
  readonly points: number;
  readonly service: number;
}

/** How long a call that was let through takes to come to the vault, and from there to its end, in ms. */
export interface Travel {
  readonly toVaultMs: number;
  readonly toEndMs: number;
}

/** What a call came to: how long it waited, or when it may come back. */
export type Answer =
  { readonly passed: true; readonly waited: number } | { readonly passed: false; readonly comeBack: number; readonly waited: number };

export interface Fleet {
  readonly clock: VirtualClock;
  readonly store: SimulatedStore;
  readonly passed: readonly Passed[];
  readonly tight: readonly string[];
  readonly instances: readonly Admission[];
  /** An instance that is dead asks for nothing more, and what it has in hand is lost. */
  kill(instance: number): void;
  cutOff(instance: number, cut: boolean): void;
  /** The next so many times the store does not take the event of an episode of throttling. */
  refuseTight(times: number): void;
  ask(instance: number, request?: Partial<AdmissionRequest>): Promise<Answer>;
}

export const vault = 'kv-west';

/** Points of a window that are for traffic. */
export const traffic = 950;

/** Numbers from 0 up to 1 without pattern, the same in every run. */
export function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Clocks of `n` instances, the outermost 2 s apart. */
export function skews(n: number): number[] {
  return Array.from({ length: n }, (_, i) => (n === 1 ? 0 : Math.round((i / (n - 1)) * 2000) - 1000));
}

/** @param skews of the wall clocks in ms, one for each instance. */
export function fleet(
  skews: readonly number[],
  options: { readonly seed?: number; readonly rules?: RateRules; readonly queueLength?: number; readonly travel?: () => Travel } = {},
): Fleet {
  const clock = virtualClock(undefined, options.seed ?? 7);
  const store = simulatedStore();
  const passed: Passed[] = [];
  const tight: string[] = [];
  let tightRefusals = 0;
  const dead = new Set<number>();
  const cut = new Set<number>();
  const used = options.rules ?? rules;
  const instances = skews.map((skew, n) => {
    const own = clock.skewed(skew);
    const ledger = store.ledger(own, () => cut.has(n) || dead.has(n));
    return createAdmission({
      ledger,
      clock: own,
      rules: used,
      queueLength: options.queueLength ?? 10_000,
      onTight(name) {
        if (tightRefusals === 0) return Promise.resolve(void tight.push(name));
        tightRefusals -= 1;
        return Promise.reject(new StoreAway('simulated'));
      },
    });
  });

  /** What an instance sent comes to the vault also where it dies meanwhile; of the answer it hears nothing then. */
  async function go(instance: number, call: AdmissionRequest): Promise<void> {
    const service = serviceCost(shapeName(call.key), used);
    const { toVaultMs, toEndMs } = options.travel?.() ?? { toVaultMs: 0, toEndMs: 0 };
    const at = clock.elapsed();
    passed.push({ at, arrived: at + toVaultMs, instance, server: call.server, points: call.points, service });
    if (toVaultMs + toEndMs > 0) await clock.pause(millis(toVaultMs + toEndMs));
    if (!dead.has(instance)) instances[instance]?.ended(call);
  }

  return {
    clock,
    store,
    passed,
    tight,
    instances,
    refuseTight: (times) => (tightRefusals = times),
    kill: (instance) => dead.add(instance),
    cutOff(instance, off) {
      if (off) cut.add(instance);
      else cut.delete(instance);
    },
    async ask(instance, more = {}) {
      const call = request({ within: millis(9000), ...more });
      const began = clock.elapsed();
      const answer = instances[instance]!.admit(call);
      const comeBack = answer instanceof Promise ? await answer : answer;
      const waited = clock.elapsed() - began;
      if (comeBack !== undefined) return { passed: false, comeBack, waited };
      if (!dead.has(instance)) void go(instance, call);
      return { passed: true, waited };
    },
  };
}

/** The fullest window at the vault, of all that begin at any moment: points, and share of what the broker uses of the service's limit. */
export function fullestWindow(
  passed: readonly Passed[],
  windowMs = 10_000,
): { readonly points: number; readonly service: number; readonly at: number } {
  const sorted = passed.map((call) => ({ ...call, at: call.arrived })).sort((a, b) => a.at - b.at);
  const fullest = { points: 0, service: 0, at: 0 };
  let points = 0;
  let service = 0;
  let oldest = 0;
  for (const call of sorted) {
    points += call.points;
    service += call.service;
    for (let first = sorted[oldest]; first !== undefined && first.at <= call.at - windowMs; first = sorted[oldest]) {
      points -= first.points;
      service -= first.service;
      oldest += 1;
    }
    if (points > fullest.points) fullest.at = call.at;
    fullest.points = Math.max(fullest.points, points);
    fullest.service = Math.max(fullest.service, service / serviceUnits);
  }
  return fullest;
}

/** A fleet of one instance that has drawn its first lease. */
export async function warm(): Promise<Fleet> {
  const subject = fleet([0]);
  void subject.ask(0);
  await subject.clock.advance(100);
  return subject;
}

/** What an instance says of the use of a vault: its read of the row takes a moment. */
export async function usageOf(subject: Fleet, instance: number, of = vault): ReturnType<Admission['usage']> {
  const usage = subject.instances[instance]?.usage(of);
  await subject.clock.advance(100);
  if (usage === undefined) throw new Error(`no instance ${instance}`);
  return usage;
}

/** Spends all that traffic may have now, by calls of a server of its own. */
export async function exhaust(subject: Fleet): Promise<void> {
  for (let k = 0; k < 475; k += 1) void subject.ask(0, { server: `filler-${k}` });
  await subject.clock.advance(300);
}

/** A General Purpose unwrap with an RSA-2048 key. */
export function request(more: Partial<AdmissionRequest> = {}): AdmissionRequest {
  const key = { keyType: 'RSA', keySize: 2048 };
  return { vault, server: 'sql-1', key, class: 'unwrap', tier: 'GeneralPurpose', points: 2, within: millis(8000), ...more };
}
