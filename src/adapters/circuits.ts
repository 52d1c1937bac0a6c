import type { KeyOperation } from '../domain/key.ts';
import type { Instant } from '../domain/time.ts';
import type { CircuitCall, Circuits, CircuitState } from '../ports/circuits.ts';
import type { Reply } from '../ports/vault.ts';
import { CircuitSide } from './circuit-side.ts';
import type { CountingOptions } from './circuit-side.ts';

export interface CircuitsOptions extends CountingOptions {
  /** Told when a circuit opens or closes, not of the probes in between. Must not throw. */
  readonly onChange?: (change: { readonly vault: string; readonly state: 'open' | 'closed'; readonly at: Instant }) => void;
}

/** The circuits of this instance on opossum. */
export function createCircuits(options: CircuitsOptions): Circuits {
  const circuits = new Map<string, Circuit>();

  function circuitOf(vault: string): Circuit {
    const known = circuits.get(vault);
    if (known) return known;
    const circuit = new Circuit(vault, options);
    circuits.set(vault, circuit);
    return circuit;
  }

  return {
    through: (vault, call, send) => circuitOf(vault).through(call, send),
    canary: (vault, call, send) => circuitOf(vault).canary(call, send),
    state(vault, operation) {
      const circuit = circuits.get(vault);
      return circuit ? { state: circuit.state(operation), since: circuit.since } : { state: 'closed', since: null };
    },
  };
}

/**
 * One vault's circuit, of two sides: what wraps meet says nothing of unwraps, and what unwraps meet must not close what wraps opened. An
 * outage of all operations opens both; wraps need no look of their own to be held back by it.
 */
class Circuit {
  readonly #vault: string;
  readonly #options: CircuitsOptions;
  /** Of wraps. */
  readonly #wraps: CircuitSide;
  /** Of all else. */
  readonly #main: CircuitSide;
  #state: 'open' | 'closed' = 'closed';
  #since: Instant | null = null;

  constructor(vault: string, options: CircuitsOptions) {
    this.#vault = vault;
    this.#options = options;
    const onChange = (): void => this.#sideChanged();
    this.#wraps = new CircuitSide(vault, options, onChange);
    this.#main = new CircuitSide(vault, options, onChange);
  }

  state(operation?: KeyOperation): CircuitState {
    const ofMain = this.#main.state;
    return ofMain !== 'closed' || (operation !== undefined && operation !== 'wrapKey') ? ofMain : this.#wraps.state;
  }

  /** When it opened, or closed last; null if it never did. A probe in between changes nothing. */
  get since(): Instant | null {
    return this.#since;
  }

  through<T>(call: CircuitCall, send: () => Promise<Reply<T>>): Promise<Reply<T> | undefined> {
    return this.#main.state === 'closed' ? this.#sideOf(call).through(call.keyId, send) : Promise.resolve(undefined);
  }

  canary<T>(call: CircuitCall, send: () => Promise<Reply<T>>): Promise<Reply<T> | undefined> {
    return this.#sideOf(call).canary(call.keyId, send);
  }

  #sideOf({ operation }: CircuitCall): CircuitSide {
    return operation === 'wrapKey' ? this.#wraps : this.#main;
  }

  #sideChanged(): void {
    const state = this.state() === 'closed' ? 'closed' : 'open';
    if (state === this.#state) return;
    this.#state = state;
    const at = this.#options.clock.now();
    this.#since = at;
    this.#options.onChange?.({ vault: this.#vault, state, at });
  }
}
