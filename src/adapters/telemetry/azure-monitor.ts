import { AzureMonitorMetricExporter, AzureMonitorTraceExporter } from '@azure/monitor-opentelemetry-exporter';
import type { AzureMonitorExporterOptions } from '@azure/monitor-opentelemetry-exporter';
import type { ExporterOptions, InsightsTarget, Road } from './exporter.ts';
import { roadTo } from './road.ts';

/**
 * Application Insights. The host of Azure Functions writes to the same resource: requests, its own performance counters, and the lines of the
 * log. Nothing goes there twice: our metrics and spans are made by our own providers, which the host knows nothing of (that would take the
 * capability `WorkerOpenTelemetryEnabled`, which is not set), and the host makes no metric or span of a key operation. Spans hang below the
 * host's request by the trace of the caller.
 *
 * What cannot be sent is dropped, not kept in files as the exporter would: telemetry names servers and vaults, and a disk of the platform is
 * no place of ours. The next export is the retry.
 */
export function azureMonitor({ connectionString, credential }: InsightsTarget, log: ExporterOptions['log']): Road {
  const options: AzureMonitorExporterOptions = {
    connectionString,
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
    ...(credential !== null && { credential }),
    ...onLoopback(connectionString),
  };
  const metrics = new AzureMonitorMetricExporter(options);
  const traces = new AzureMonitorTraceExporter(options);
  return roadTo({ receiver: 'Application Insights', metrics, traces }, log);
}

/** The exporter takes plain http for a slip and makes it https; the settings let it through on a loopback address alone. */
function onLoopback(connectionString: string): Pick<AzureMonitorExporterOptions, 'host' | 'allowInsecureConnection'> {
  const [, host] = /(?:^|;)\s*IngestionEndpoint\s*=\s*(http:\/\/[^;\s]+?)\/*\s*(?:;|$)/i.exec(connectionString) ?? [];
  return host === undefined ? {} : { host, allowInsecureConnection: true };
}
