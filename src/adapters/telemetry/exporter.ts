import type { Telemetry } from '../../ports/telemetry.ts';

export interface ExporterOptions {
  /** Base address of an OTLP/HTTP receiver, to which `/v1/metrics` and `/v1/traces` are added. */
  readonly endpoint: string;
  /** Name of this instance, as in the operation records. */
  readonly instance: string;
  /** Names the deployment among those that share a collector. */
  readonly deployment: string;
  /** Says that the collector takes nothing, or something again. */
  readonly log: (level: 'info' | 'warn', message: string) => void;
}

/** Telemetry that has somebody who listens. */
export type Exporter = Omit<Telemetry, 'listens'>;
