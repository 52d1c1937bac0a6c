import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import type { ExporterOptions, Road } from './exporter.ts';
import { exportTimeoutMs, roadTo } from './road.ts';

/** An OTLP/HTTP receiver. The exporters themselves read `OTEL_EXPORTER_OTLP_HEADERS`, by which receivers know their senders. */
export function otlp(endpoint: string, log: ExporterOptions['log']): Road {
  const base = endpoint.replace(/\/+$/, '');
  const metrics = new OTLPMetricExporter({ url: `${base}/v1/metrics`, timeoutMillis: exportTimeoutMs });
  const traces = new OTLPTraceExporter({ url: `${base}/v1/traces`, timeoutMillis: exportTimeoutMs });
  return roadTo({ receiver: 'the collector', metrics, traces }, log);
}
