import type { FaultClass } from '../../../src/domain/fault.ts';
import type { KeyId } from '../../../src/domain/key.ts';
import type { CircuitCall, Circuits } from '../../../src/ports/circuits.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { Reply } from '../../../src/ports/vault.ts';

interface Side {
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
  const circuits = new Map<string, { readonly wraps: Side; readonly main: Side }>();

  function circuitOf(vault: string): { readonly wraps: Side; readonly main: Side } {
    const start = (): Side => ({ phase: 0, state: 'closed', probing: false, signs: [] });
    let circuit = circuits.get(vault);
    if (circuit === undefined) circuits.set(vault, (circuit = { wraps: start(), main: start() }));
    return circuit;
  }

  function sideOf(vault: string, { operation }: CircuitCall): Side {
    const { wraps, main } = circuitOf(vault);
    return operation === 'wrapKey' ? wraps : main;
  }

  function stateOf(vault: string): 'open' | 'closed' {
    const { wraps, main } = circuitOf(vault);
    return wraps.state === 'closed' && main.state === 'closed' ? 'closed' : 'open';
  }

  function change(vault: string, side: Side, state: 'open' | 'closed'): void {
    if (side.state === state) return;
    const before = stateOf(vault);
    side.state = state;
    side.phase += 1;
    side.signs = [];
    if (stateOf(vault) !== before) onChange(vault, stateOf(vault));
  }

  function count(vault: string, call: CircuitCall, reply: Reply<unknown>): void {
    if (!reply.ok && silent.includes(reply.fault.class)) return;
    const side = sideOf(vault, call);
    const at = clock.elapsed();
    side.signs = [...side.signs.filter((sign) => sign.at > at - windowMs), { at, keyId: call.keyId, outage: isOutage(reply) }];
    const outages = side.signs.filter((sign) => sign.outage);
    const keys = new Set(outages.map((sign) => sign.keyId));
    // What outvoted the outages may be out of the window by now; but no answer opens a circuit.
    if (isOutage(reply) && outages.length >= volume && keys.size >= 2 && outages.length * 2 > side.signs.length)
      change(vault, side, 'open');
  }

  return {
    async through(vault, call, send) {
      const side = sideOf(vault, call);
      if (side.state === 'open' || circuitOf(vault).main.state === 'open') return undefined;
      const { phase } = side;
      const reply = await send();
      if (phase === side.phase) count(vault, call, reply);
      return reply;
    },
    async canary(vault, call, send) {
      const side = sideOf(vault, call);
      if (side.state === 'open' && side.probing) return undefined;
      const { phase } = side;
      const probe = side.state === 'open';
      side.probing ||= probe;
      const reply = await send();
      if (probe) side.probing = false;
      if (phase !== side.phase || (!reply.ok && silent.includes(reply.fault.class))) return reply;
      if (isOutage(reply)) change(vault, side, 'open');
      else if (probe) change(vault, side, 'closed');
      else count(vault, call, reply);
      return reply;
    },
    state(vault, operation) {
      const { wraps, main } = circuitOf(vault);
      const side = main.state === 'open' || (operation !== undefined && operation !== 'wrapKey') ? main : wraps;
      return { state: side.state === 'open' && side.probing ? 'halfOpen' : side.state, since: null };
    },
  };
}

function isOutage(reply: Reply<unknown>): boolean {
  return !reply.ok && reply.fault.class === 'outage';
}
