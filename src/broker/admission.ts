import type { KeyShape } from '../domain/vault.ts';
import { bothShapes, serviceCost, shapeName, shapesIn } from '../policy/rate.ts';
import type { RateRules } from '../policy/rate.ts';
import type { Admission, AdmissionRequest } from '../ports/admission.ts';
import { VaultGate } from './vault-gate.ts';
import type { AdmissionParts } from './vault-gate.ts';
import type { Fare } from './waiting-calls.ts';

/** Admission by leases of each vault's rate budget (B2 to B4, F7). */
export function createAdmission(parts: AdmissionParts): Admission {
  const instance = parts.clock.uuid();
  const gates = new Map<string, VaultGate>();
  const fares = new Map<string, Map<number, Fare>>();
  /** The same by the object that names the shape, as a rule a link. */
  const known = new WeakMap<KeyShape, Map<number, Fare>>();

  function gateOf(vault: string): VaultGate {
    let gate = gates.get(vault);
    if (gate === undefined) gates.set(vault, (gate = new VaultGate(vault, instance, parts)));
    return gate;
  }

  /** Remembered by shape and points: a healthy call makes no object, and no text. */
  function fareOf({ key, also, points }: Pick<AdmissionRequest, 'key' | 'also' | 'points'>): Fare {
    const fare = also === undefined ? known.get(key)?.get(points) : undefined;
    if (fare !== undefined) return fare;
    const shape = also === undefined ? shapeName(key) : bothShapes(key, also);
    let byPoints = fares.get(shape);
    if (byPoints === undefined) {
      byPoints = new Map<number, Fare>();
      fares.set(shape, byPoints);
    }
    if (also === undefined) known.set(key, byPoints);
    const made = byPoints.get(points) ?? { shape, cost: { points, service: serviceOf(shape, parts.rules) } };
    byPoints.set(points, made);
    return made;
  }

  return {
    admit: (request) => gateOf(request.vault).admit(request, fareOf(request)),
    keep: (request, told) => gateOf(request.vault).keep(request, fareOf(request), told),
    ended: (call) => gateOf(call.vault).ended(fareOf(call)),
    throttled: (vault) => gateOf(vault).throttled(),
    async usage(vault) {
      const byKeyType: Record<string, number> = {};
      let used = 0;
      const { purses, factor } = await gateOf(vault).usage();
      for (const usage of purses) {
        used += usage.points;
        for (const [shape, count] of Object.entries(usage.operations)) byKeyType[shape] = (byKeyType[shape] ?? 0) + count;
      }
      return { used, limit: Math.max(1, Math.floor(parts.rules.points * factor)), windowMs: parts.rules.windowMs, byKeyType };
    },
  };
}

function serviceOf(shapes: string, rules: RateRules): number {
  return shapesIn(shapes).reduce((sum, shape) => sum + serviceCost(shape, rules), 0);
}
