import CircuitBreaker from 'opossum';
import type { FaultClass } from '../domain/fault.ts';
import type { KeyId } from '../domain/key.ts';
import { millis, type Millis } from '../domain/time.ts';
import type { CircuitState } from '../ports/circuits.ts';
import type { Clock } from '../ports/clock.ts';
import type { Reply } from '../ports/vault.ts';

/** What opens a circuit. */
export interface CountingOptions {
  readonly clock: Clock;
  /** Span over which answers are counted, in milliseconds; default 10 s. */
  readonly windowMs?: Millis;
  /** Fewest outages within the window that open a circuit; default 3. */
  readonly volume?: number;
  /** Over how many keys the outages must be spread; default 2. */
  readonly keys?: number;
  /** Share of outages in percent above which a circuit opens; default 50. */
  readonly thresholdPercent?: number;
}

/** What a reply says of the vault: an outage, an answer, or nothing. A failed token step, or a fault that may be local, says nothing. */
type Sign = 'outage' | 'answer' | 'nothing';

const signs: Readonly<Record<FaultClass, Sign>> = {
  outage: 'outage',
  revoked: 'answer',
  keyGone: 'answer',
  vaultGone: 'answer',
  throttled: 'answer',
  invalidRequest: 'answer',
  identityOutage: 'nothing',
  ambiguous: 'nothing',
};

function signOf(reply: Reply<unknown>): Sign {
  return reply.ok ? 'answer' : signs[reply.fault.class];
}

/** Counts one sign; rejects for an outage, which is how opossum is told of a failure. */
type Breaker = CircuitBreaker<[sign: 'outage' | 'answer'], void>;

const defaultVolume = 3;

const outageMet = new Error('the vault is out');

/**
 * One side of a vault's circuit. Opossum counts and decides; three of its habits are kept from harm:
 * - A reply that was begun before the circuit opened would close or open it when it lands in a later state. So each closed phase has a breaker of
 *   its own, from the probe that closed the circuit to the outage that opens it, and a reply counts for the breaker that let its call go.
 * - In the half-open state it takes the first call that comes, whatever it is, for the probe, and after a filtered error believes what it should
 *   not. So calls never meet a half-open breaker: it is made for the one canary, and told how that went.
 * - It would open on failures of one key. So outages are held back until a second key has met one (F2).
 */
export class CircuitSide {
  readonly #vault: string;
  readonly #options: CountingOptions;
  /** Told when the side opens or closes, not of the probes in between. */
  readonly #onChange: () => void;
  readonly #windowMs: Millis;
  /** Of the closed phase; undefined while the side is not closed. */
  #breaker: Breaker | undefined;
  #probing = false;
  /** By key, the one met last at the end: when its outages were met (`Clock.elapsed`), and how many of them opossum knows of. */
  readonly #suspects = new Map<KeyId, { readonly outages: readonly number[]; readonly told: number }>();

  constructor(vault: string, options: CountingOptions, onChange: () => void) {
    this.#vault = vault;
    this.#options = options;
    this.#onChange = onChange;
    this.#windowMs = options.windowMs ?? millis(10_000);
    this.#breaker = this.#startBreaker('closed');
  }

  get state(): CircuitState {
    if (this.#breaker) return 'closed';
    return this.#probing ? 'halfOpen' : 'open';
  }

  async through<T>(keyId: KeyId, call: () => Promise<Reply<T>>): Promise<Reply<T> | undefined> {
    const breaker = this.#breaker;
    if (breaker === undefined) return undefined;
    const reply = await call();
    if (breaker !== this.#breaker) return reply;
    const sign = signOf(reply);
    if (sign === 'answer') this.#count(breaker, keyId);
    if (sign === 'outage') await this.#suspect(breaker, keyId);
    return reply;
  }

  async canary<T>(keyId: KeyId, call: () => Promise<Reply<T>>): Promise<Reply<T> | undefined> {
    const breaker = this.#breaker;
    if (breaker) return this.#canaryWhileClosed(breaker, keyId, call);
    if (this.#probing) return undefined;
    this.#probing = true;
    try {
      return await this.#tryToClose(call);
    } finally {
      this.#probing = false;
    }
  }

  #count(breaker: Breaker, keyId: KeyId): void {
    this.#suspects.delete(keyId);
    void breaker.fire('answer');
  }

  async #suspect(breaker: Breaker, keyId: KeyId): Promise<void> {
    this.#forgetOld();
    const { outages, told } = this.#suspects.get(keyId) ?? { outages: [], told: 0 };
    this.#suspects.delete(keyId);
    this.#suspects.set(keyId, { outages: [...outages, this.#options.clock.elapsed()], told });
    if (!this.#enoughMet()) return;
    for (const [suspect, known] of [...this.#suspects]) {
      this.#suspects.set(suspect, { outages: known.outages, told: known.outages.length });
      for (let untold = known.outages.length - known.told; untold > 0; untold -= 1) await report(breaker);
    }
  }

  #enoughMet(): boolean {
    const { keys = 2, volume = defaultVolume } = this.#options;
    let met = 0;
    for (const { outages } of this.#suspects.values()) met += outages.length;
    return met >= volume && this.#suspects.size >= keys;
  }

  /** Outages before the window count no more, here as in opossum. */
  #forgetOld(): void {
    const from = this.#options.clock.elapsed() - this.#windowMs;
    for (const [keyId, { outages, told }] of [...this.#suspects]) {
      const recent = outages.filter((at) => at > from);
      const forgotten = outages.length - recent.length;
      if (recent.length === 0) this.#suspects.delete(keyId);
      else if (forgotten > 0) this.#suspects.set(keyId, { outages: recent, told: Math.max(told - forgotten, 0) });
    }
  }

  /** What a canary meets is no fault of a ciphertext, so its outage needs no second key. */
  async #canaryWhileClosed<T>(breaker: Breaker, keyId: KeyId, call: () => Promise<Reply<T>>): Promise<Reply<T>> {
    const reply = await call();
    if (breaker !== this.#breaker) return reply;
    const sign = signOf(reply);
    if (sign === 'answer') this.#count(breaker, keyId);
    if (sign === 'outage') breaker.open();
    return reply;
  }

  /** What says nothing of the vault does not close the circuit. */
  async #tryToClose<T>(call: () => Promise<Reply<T>>): Promise<Reply<T>> {
    const reply = await call();
    const breaker = this.#startBreaker('halfOpen');
    if (signOf(reply) === 'answer') await breaker.fire('answer');
    else await report(breaker);
    return reply;
  }

  #startBreaker(state: 'closed' | 'halfOpen'): Breaker {
    const { volume = defaultVolume, thresholdPercent = 50 } = this.#options;
    const breaker: Breaker = new CircuitBreaker((sign) => (sign === 'outage' ? Promise.reject(outageMet) : Promise.resolve()), {
      name: this.#vault,
      timeout: false,
      rollingCountTimeout: this.#windowMs,
      volumeThreshold: volume,
      errorThresholdPercentage: thresholdPercent,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      ...(state === 'halfOpen' ? { state: { closed: false, halfOpen: true } } : {}),
    });
    breaker.once('close', () => this.#closed(breaker));
    breaker.once('open', () => this.#opened(breaker));
    return breaker;
  }

  #closed(breaker: Breaker): void {
    this.#breaker = breaker;
    this.#suspects.clear();
    this.#onChange();
  }

  /** The breaker has done its work: shut down, it holds no timer and changes nothing. A probe that failed leaves the circuit as open as it was. */
  #opened(breaker: Breaker): void {
    breaker.shutdown();
    if (breaker !== this.#breaker) return;
    this.#breaker = undefined;
    this.#suspects.clear();
    this.#onChange();
  }
}

/** Tells opossum of an outage; its rejection is only the echo. */
async function report(breaker: Breaker): Promise<void> {
  try {
    await breaker.fire('outage');
  } catch (error) {
    // A breaker that has opened meanwhile takes no more reports: it says so by an error of its own.
    if (error !== outageMet && !CircuitBreaker.isOurError(error as Error)) throw error;
  }
}
