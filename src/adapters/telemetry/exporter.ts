import type { TokenCredential } from '@azure/identity';
import type { MetricReader } from '@opentelemetry/sdk-metrics';
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Telemetry } from '../../ports/telemetry.ts';

/** An Application Insights resource. */
export interface InsightsTarget {
  readonly connectionString: string;
  /** By whom it is written to; null: by whoever knows the key of the connection string. */
  readonly credential: TokenCredential | null;
}

/** Where metrics and traces go: to each that is not null. */
export interface Targets {
  /** Base address of an OTLP/HTTP receiver, to which `/v1/metrics` and `/v1/traces` are added. */
  readonly endpoint: string | null;
  readonly insights: InsightsTarget | null;
}

export interface ExporterOptions extends Targets {
  /** Name of this instance, as in the operation records. */
  readonly instance: string;
  /** Names the deployment among those that share a collector. */
  readonly deployment: string;
  /** Says that a collector takes nothing, or something again. */
  readonly log: (level: 'info' | 'warn', message: string) => void;
}

/** Telemetry that has somebody who listens. */
export type Exporter = Omit<Telemetry, 'listens'>;

/** A road to one receiver: what OpenTelemetry's providers are given. */
export interface Road {
  readonly reader: MetricReader;
  readonly processor: SpanProcessor;
}
