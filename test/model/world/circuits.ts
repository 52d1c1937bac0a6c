import type { FaultClass } from '../../../src/domain/fault.ts';
import type { KeyId } from '../../../src/domain/key.ts';
import type { Circuits } from '../../../src/ports/circuits.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { Reply } from '../../../src/ports/vault.ts';

interface Circuit {
  /** Grows with each opening and closing: an answer counts only for the phase that let its call go. */
  phase: number;
  state: 'closed' | 'open';
  probing: boolean;
  signs: { readonly at: number; readonly keyId: KeyId; readonly outage: boolean }[];
}

const windowMs = 10_000;
const volume = 3;
const silent: readonly FaultClass[] = ['identityOutage', 'ambiguous'];

/**
 * Circuits as their port promises them, on the model's time: opossum counts by timers of its own, which a simulated clock cannot move.
 * The adapter on opossum has its own tests, and runs through the model once with these windows standing still.
 */
export function simulatedCircuits(clock: Clock, onChange: (vault: string, state: 'open' | 'closed') => void): Circuits {
  const circuits = new Map<string, Circuit>();

  function circuitOf(vault: string): Circuit {
    let circuit = circuits.get(vault);
    if (circuit === undefined) circuits.set(vault, (circuit = { phase: 0, state: 'closed', probing: false, signs: [] }));
    return circuit;
  }

  function change(vault: string, circuit: Circuit, state: 'open' | 'closed'): void {
    if (circuit.state === state) return;
    circuit.state = state;
    circuit.phase += 1;
    circuit.signs = [];
    onChange(vault, state);
  }

  function count(vault: string, keyId: KeyId, reply: Reply<unknown>): void {
    if (!reply.ok && silent.includes(reply.fault.class)) return;
    const circuit = circuitOf(vault);
    const at = clock.elapsed();
    circuit.signs = [...circuit.signs.filter((sign) => sign.at > at - windowMs), { at, keyId, outage: isOutage(reply) }];
    const outages = circuit.signs.filter((sign) => sign.outage);
    const keys = new Set(outages.map((sign) => sign.keyId));
    if (outages.length >= volume && keys.size >= 2 && outages.length * 2 > circuit.signs.length) change(vault, circuit, 'open');
  }

  return {
    async through(vault, keyId, call) {
      const circuit = circuitOf(vault);
      if (circuit.state === 'open') return undefined;
      const { phase } = circuit;
      const reply = await call();
      if (phase === circuit.phase) count(vault, keyId, reply);
      return reply;
    },
    async canary(vault, keyId, call) {
      const circuit = circuitOf(vault);
      if (circuit.state === 'open' && circuit.probing) return undefined;
      const { phase } = circuit;
      const probe = circuit.state === 'open';
      circuit.probing ||= probe;
      const reply = await call();
      if (probe) circuit.probing = false;
      if (phase !== circuit.phase || (!reply.ok && silent.includes(reply.fault.class))) return reply;
      if (isOutage(reply)) change(vault, circuit, 'open');
      else if (probe) change(vault, circuit, 'closed');
      else count(vault, keyId, reply);
      return reply;
    },
    state(vault) {
      const { state, probing } = circuitOf(vault);
      return { state: state === 'open' && probing ? 'halfOpen' : state, since: null };
    },
  };
}

function isOutage(reply: Reply<unknown>): boolean {
  return !reply.ok && reply.fault.class === 'outage';
}
