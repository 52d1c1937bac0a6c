import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace as traces } from '@opentelemetry/api';
import type { Attributes, Context, HrTime, Meter, Observable, Tracer } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { AlwaysOnSampler, BasicTracerProvider, BatchSpanProcessor, ParentBasedSampler } from '@opentelemetry/sdk-trace-base';
import type { Trace } from '../../domain/caller.ts';
import { readings } from '../../ports/telemetry.ts';
import type { EndedOperation, Reading } from '../../ports/telemetry.ts';
import type { Exporter, ExporterOptions } from './exporter.ts';

/** As often as the watch looks. */
const exportIntervalMs = 15_000;
/** For one export; also what the end of the process waits for at most, once for metrics and traces together. */
const exportTimeoutMs = 2_000;

/** Bounds of the buckets in seconds: calls take milliseconds, and none outlives its request (C5). */
const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];

/**
 * Metrics and traces to an OTLP/HTTP receiver. Providers are the broker's own, not OpenTelemetry's global ones: the SDKs of Azure, which would
 * find those, trace requests with their addresses. The exporters themselves read `OTEL_EXPORTER_OTLP_HEADERS`, by which receivers know their senders.
 */
export function exportTo({ deployment, endpoint, instance, log }: ExporterOptions): Exporter {
  const base = endpoint.replace(/\/+$/, '');
  const resource = resourceFromAttributes({
    'service.name': 'key-operations-broker',
    'service.namespace': deployment,
    'service.instance.id': instance,
  });
  const metricExporter = new OTLPMetricExporter({ url: `${base}/v1/metrics`, timeoutMillis: exportTimeoutMs });
  const traceExporter = new OTLPTraceExporter({ url: `${base}/v1/traces`, timeoutMillis: exportTimeoutMs });
  tellFailures(metricExporter, 'metrics', log);
  tellFailures(traceExporter, 'traces', log);

  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: metricExporter,
        exportIntervalMillis: exportIntervalMs,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  const tracers = new BasicTracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: [new BatchSpanProcessor(traceExporter, { exportTimeoutMillis: exportTimeoutMs })],
  });
  const meter = meters.getMeter('keybroker');
  const count = countOperations(meter);
  const tracer = tracers.getTracer('keybroker');

  return {
    operated(ended) {
      count(ended);
      leaveSpan(tracer, ended);
    },
    observe: (read) => observe(meter, read),
    async close() {
      // A collector that is away rejects here; that was said when the export failed.
      await Promise.allSettled([meters.shutdown(), tracers.shutdown()]);
    },
  };
}

/** Servers and databases are left to spans: as attributes of metrics, tens of thousands of them would be as many time series. */
function countOperations(meter: Meter): (ended: EndedOperation) => void {
  const operations = meter.createCounter('keybroker.operations', { unit: '{operation}', description: 'key operations that ended' });
  const durations = meter.createHistogram('keybroker.operation.duration', {
    unit: 's',
    description: 'from the authorised request to the answer',
    advice: { explicitBucketBoundaries: durationBounds },
  });
  return (ended) => {
    const attributes = attributesOf(ended);
    operations.add(1, attributes);
    durations.record(ended.took / 1000, attributes);
  };
}

function attributesOf({ operation, outcome, vault, failover, class: failureClass }: EndedOperation): Attributes {
  return {
    'keybroker.operation': operation,
    'keybroker.outcome': outcome,
    'keybroker.failover': failover,
    ...(failureClass !== null && { 'keybroker.class': failureClass }),
    ...(vault !== null && { 'keybroker.vault': vault }),
  };
}

/** One span a key operation, below the span of whoever called. */
function leaveSpan(tracer: Tracer, ended: EndedOperation): void {
  const { operation, server, database, outcome, beganAt, took, trace } = ended;
  const attributes = { ...attributesOf(ended), 'keybroker.server': server, 'keybroker.database': database };
  const span = tracer.startSpan(
    `keybroker ${operation}`,
    { kind: SpanKind.INTERNAL, startTime: hrTime(beganAt), attributes },
    trace === null ? ROOT_CONTEXT : below(trace),
  );
  if (outcome !== 'ok') span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', outcome);
  span.end(hrTime(beganAt + took));
}

function below({ traceparent, sampled }: Trace): Context {
  const [, traceId = '', spanId = ''] = traceparent.split('-');
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return traces.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** As a pair: a plain number below the start of the process would be taken for time since then, and the wall clock may be set back. */
function hrTime(msSinceEpoch: number): HrTime {
  const seconds = Math.floor(msSinceEpoch / 1000);
  return [seconds, Math.round((msSinceEpoch - seconds * 1000) * 1e6)];
}

function observe(meter: Meter, read: () => readonly Reading[]): void {
  const observables = new Map<string, Observable>();
  for (const [name, about] of Object.entries(readings)) {
    // What was spilled since the start only grows; all else goes up and down.
    const create = name === 'keybroker.records.spilled' ? 'createObservableCounter' : 'createObservableGauge';
    observables.set(name, meter[create](name, about));
  }
  meter.addBatchObservableCallback(
    (result) => {
      for (const { name, value, attributes } of read()) {
        const observable = observables.get(name);
        if (observable !== undefined) result.observe(observable, value, attributes);
      }
    },
    [...observables.values()],
  );
}

/** What OpenTelemetry's exporters have in common, as far as it is needed here. */
interface Sender<Items> {
  export(items: Items, done: (result: { readonly code: number }) => void): void;
}

/** OpenTelemetry keeps failures of an export to itself: the first of a row is said, and the success that ends it. Nothing of the error, which may quote the receiver. */
function tellFailures<Items>(exporter: Sender<Items>, what: string, log: ExporterOptions['log']): void {
  const send = exporter.export.bind(exporter);
  let failing = false;
  exporter.export = (items, done) =>
    send(items, (result) => {
      const failed = result.code !== 0;
      if (failed && !failing) log('warn', `the collector takes no ${what}`);
      if (!failed && failing) log('info', `the collector takes ${what} again`);
      failing = failed;
      done(result);
    });
}
