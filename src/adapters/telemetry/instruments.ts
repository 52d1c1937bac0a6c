import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace as traces } from '@opentelemetry/api';
import type { Attributes, Context, HrTime, Meter, Observable, Tracer } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { AlwaysOnSampler, BasicTracerProvider, ParentBasedSampler } from '@opentelemetry/sdk-trace-base';
import type { Trace } from '../../domain/caller.ts';
import { measures, readings } from '../../ports/telemetry.ts';
import type { EndedOperation, Reading } from '../../ports/telemetry.ts';
import { azureMonitor } from './azure-monitor.ts';
import type { Exporter, ExporterOptions } from './exporter.ts';
import { otlp } from './otlp.ts';

/** Bounds of the buckets in seconds: calls take milliseconds, and none outlives its request (C5). */
const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];

/**
 * Metrics and traces to each receiver that is named. Providers are the broker's own, not OpenTelemetry's global ones: the SDKs of Azure, which
 * would find those, trace requests with their addresses.
 */
export function exportTo({ deployment, endpoint, insights, instance, log }: ExporterOptions): Exporter {
  const roads = [...(endpoint === null ? [] : [otlp(endpoint, log)]), ...(insights === null ? [] : [azureMonitor(insights, log)])];
  const resource = resourceFromAttributes({
    'service.name': 'key-operations-broker',
    'service.namespace': deployment,
    'service.instance.id': instance,
  });
  const meters = new MeterProvider({ resource, readers: roads.map(({ reader }) => reader) });
  const tracers = new BasicTracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: roads.map(({ processor }) => processor),
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
  const operations = meter.createCounter('keybroker.operations', measures['keybroker.operations']);
  const durations = meter.createHistogram('keybroker.operation.duration', {
    ...measures['keybroker.operation.duration'],
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
