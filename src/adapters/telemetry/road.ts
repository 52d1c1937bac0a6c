import { PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { ExporterOptions, Road } from './exporter.ts';

/** As often as the watch looks. */
const exportIntervalMs = 15_000;
/** For one export; also what the end of the process waits for at most, once for metrics and traces together. */
export const exportTimeoutMs = 2_000;

export interface Exporters {
  /** Whom the log speaks of, e.g. `the collector`. */
  readonly receiver: string;
  readonly metrics: PushMetricExporter;
  readonly traces: SpanExporter;
}

/** Metrics at a steady pace, spans in batches; a receiver that takes nothing is told to the log. */
export function roadTo({ receiver, metrics, traces }: Exporters, log: ExporterOptions['log']): Road {
  tellFailures(metrics, `${receiver} takes {no} metrics`, log);
  tellFailures(traces, `${receiver} takes {no} traces`, log);
  return {
    reader: new PeriodicExportingMetricReader({
      exporter: metrics,
      exportIntervalMillis: exportIntervalMs,
      exportTimeoutMillis: exportTimeoutMs,
    }),
    processor: new BatchSpanProcessor(traces, { exportTimeoutMillis: exportTimeoutMs }),
  };
}

/** What OpenTelemetry's exporters have in common, as far as it is needed here. */
interface Sender<Items> {
  export(items: Items, done: (result: { readonly code: number }) => void): void;
}

/**
 * OpenTelemetry keeps failures of an export to itself: the first of a row is said, and the success that ends it. Nothing of the error, which may
 * quote the receiver. The exporter of Azure Monitor says of each batch of spans a second time that it went well, whatever came of it: the
 * first word counts.
 */
function tellFailures<Items>(exporter: Sender<Items>, sentence: string, log: ExporterOptions['log']): void {
  const send = exporter.export.bind(exporter);
  let failing = false;
  exporter.export = (items, done) => {
    let ended = false;
    send(items, (result) => {
      if (ended) return;
      ended = true;
      const failed = result.code !== 0;
      if (failed && !failing) log('warn', sentence.replace('{no} ', 'no '));
      if (!failed && failing) log('info', `${sentence.replace('{no} ', '')} again`);
      failing = failed;
      done(result);
    });
  };
}
