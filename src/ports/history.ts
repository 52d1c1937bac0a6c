import type { Instant } from '../domain/time.ts';
import type { CircuitState } from './circuits.ts';

/** What was seen of a vault in one minute. */
export interface VaultMinute {
  /** The largest part of its rate budget that a window of that minute had used; 1 is all of it. */
  readonly rate: number;
  /** The worst that any instance said of its circuit. */
  readonly circuit: CircuitState;
}

/** What was seen of all vaults in one minute, by the vault's name. */
export interface FleetMinute {
  /** Its first moment. */
  readonly at: Instant;
  readonly vaults: Readonly<Record<string, VaultMinute>>;
}

/** What became of the vaults in the last hour, minute by minute; what is older is forgotten. Rejects with `StoreAway`. */
export interface History {
  /**
   * The compare-and-set loop on the minute that begins `at`: `decide` is pure, and sees undefined where nothing is stored of that minute yet.
   * What cannot be read in its place is overwritten.
   */
  change(at: Instant, decide: (stored: FleetMinute | undefined) => FleetMinute): Promise<void>;
  /**
   * At most sixty, in any order; a minute before the last hour may be among them where nothing was seen since. One that cannot be read is left
   * out, as one in which nobody looked, and told to the log once.
   */
  read(): Promise<readonly FleetMinute[]>;
}
