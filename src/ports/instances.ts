import type { CircuitState } from './circuits.ts';

/** What one broker instance last said of itself. */
export interface InstanceReport {
  readonly instance: string;
  readonly startedAt: number;
  /** Wall clock of the report; one older than 45 s counts as gone. */
  readonly at: number;
  /** By vault: circuit and latency seen by this instance. Vaults that it never called are absent. */
  readonly vaults: Readonly<Record<string, VaultReport>>;
  /** Number of the newest operation record that it gave out, and how many wait or went to the log alone. */
  readonly records: { readonly issued: number; readonly waiting: number; readonly spilled: number };
}

export interface VaultReport {
  readonly circuit: CircuitState;
  readonly since: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** Reports of all instances. Rejects with `StoreAway`. */
export interface Instances {
  report(report: InstanceReport): Promise<void>;
  /** Of all instances, the gone ones too. One that cannot be read is left out, and told to the log once. */
  read(): Promise<readonly InstanceReport[]>;
  forget(instance: string): Promise<void>;
}
