import type { Amount, Purse } from '../domain/budget.ts';
import type { ServiceLimits } from '../domain/service-limits.ts';
import type { Millis } from '../domain/time.ts';
import type { KeyShape, Vault } from '../domain/vault.ts';

/** The numbers of B2 to B4 and F7. All are settings. */
export interface RateRules {
  /** Points that a vault takes in every window (B2). */
  readonly points: number;
  readonly windowMs: Millis;
  /** The service's own limits. */
  readonly serviceLimits: ServiceLimits;
  /** Share of them that the broker uses, at most 1. */
  readonly serviceShare: number;
  /** Share of both budgets that is kept for probes (B4). */
  readonly probeShare: number;
  /** How long a lease may be spent after it was drawn (B3). */
  readonly leaseMs: Millis;
  /** How long a call that was let through may take (C5): it has reached the vault by then. */
  readonly attemptMs: Millis;
  /** How far apart the wall clocks of two instances may be. */
  readonly clockSkewMs: Millis;
  /** Share of the budget that each instance falls to while the store is away; so many instances that these shares add up to 1 are safe. */
  readonly awayShare: number;
}

/** Service units that a vault takes in every window: what the broker uses of the service's limit is cut in a million parts. */
export const serviceUnits = 1_000_000;

/** In so much time the service counts its limits. */
const serviceWindowMs = 10_000;

/** The shapes that may be linked (K2). */
const linkable = ['RSA/2048', 'RSA/3072', 'RSA-HSM/2048', 'RSA-HSM/3072'];

const managedHsm = 'managedHsm:';

/**
 * The shape under which a call is admitted. A Managed HSM does not throttle cryptographic operations (facts, 3.6): the points alone hold
 * there, and the shape says so.
 */
export function shapeAt(kind: Vault['kind'], key: KeyShape): KeyShape {
  if (kind !== 'managedHsm') return key;
  let shape = shapesAtHsms.get(key);
  if (shape === undefined) shapesAtHsms.set(key, (shape = { keyType: managedHsm + key.keyType, keySize: key.keySize }));
  return shape;
}

/** The same object for the same link: admission finds what it costs by that. */
const shapesAtHsms = new WeakMap<KeyShape, KeyShape>();

/** Name of a shape in `byKeyType`, e.g. `RSA-HSM/3072`. */
export function shapeName(key: KeyShape): string {
  return `${key.keyType}/${key.keySize}`;
}

/** Stands between the shapes of two calls that are admitted as one. */
const both = '+';

/** Name of the shapes of two calls that are admitted as one. */
export function bothShapes(key: KeyShape, also: KeyShape): string {
  return shapeName(key) + both + shapeName(also);
}

/** Whether it names the shapes of two calls. */
export function namesBoth(name: string): boolean {
  return name.includes(both);
}

/** The shapes in a name of {@link shapeName} or {@link bothShapes}. */
export function shapesIn(name: string): readonly string[] {
  return name.split(both);
}

type ServiceRules = Pick<RateRules, 'serviceLimits' | 'serviceShare' | 'windowMs'>;

/**
 * What one operation takes of the service's limit.
 * @param shape as {@link shapeName} gives it; an unknown one costs as much as the dearest known.
 * @returns whole service units, rounded up.
 */
export function serviceCost(shape: string, rules: ServiceRules): number {
  if (shape.startsWith(managedHsm)) return 0;
  const limit = rules.serviceLimits[shape] ?? Math.min(...Object.values(rules.serviceLimits));
  return Math.ceil(serviceUnits / (limit * rules.serviceShare * (rules.windowMs / serviceWindowMs)));
}

/** What an operation takes with the dearest key: of those that may be linked, and of all that may be looked at, a key to be linked among them. */
export function dearestCosts(rules: ServiceRules): { readonly linked: number; readonly any: number } {
  const costsOf = (shapes: readonly string[]): number => Math.max(...shapes.map((shape) => serviceCost(shape, rules)));
  return { linked: costsOf(linkable), any: costsOf(Object.keys(rules.serviceLimits)) };
}

/** What a purse holds in every window, by both rules. */
export function limitOf(purse: Purse, rules: RateRules): Amount {
  const share = purse === 'probes' ? rules.probeShare : 1 - rules.probeShare;
  return { points: Math.floor(rules.points * share), service: Math.floor(serviceUnits * share) };
}
