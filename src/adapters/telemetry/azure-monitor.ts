import { createDefaultHttpClient } from '@azure/core-rest-pipeline';
import type { HttpClient } from '@azure/core-rest-pipeline';
import { AzureMonitorMetricExporter, AzureMonitorTraceExporter } from '@azure/monitor-opentelemetry-exporter';
import type { AzureMonitorExporterOptions } from '@azure/monitor-opentelemetry-exporter';
import type { ExporterOptions, InsightsTarget, Road } from './exporter.ts';
import { exportTimeoutMs, roadTo } from './road.ts';

/**
 * Application Insights. The host of Azure Functions writes to the same resource: requests, its own performance counters, and the lines of the
 * log. Nothing goes there twice: our metrics and spans are made by our own providers, which the host knows nothing of (that would take the
 * capability `WorkerOpenTelemetryEnabled`, which is not set), and the host makes no metric or span of a key operation. Spans hang below the
 * host's request by the trace of the caller.
 *
 * What cannot be sent is dropped, not kept in files as the exporter would: telemetry names servers and vaults, and a disk of the platform is
 * no place of ours. The next export is the retry. The exporter would also tell its maker of itself (Statsbeat), which `infra/` turns off by
 * `APPLICATION_INSIGHTS_NO_STATSBEAT`.
 */
export function azureMonitor({ connectionString, credential }: InsightsTarget, log: ExporterOptions['log']): Road {
  const options: AzureMonitorExporterOptions = {
    connectionString,
    disableOfflineStorage: true,
    retryOptions: { maxRetries: 0 },
    httpClient: honestClient(exportTimeoutMs),
    ...(credential !== null && { credential }),
    ...onLoopback(connectionString),
  };
  const metrics = new AzureMonitorMetricExporter(options);
  const traces = new AzureMonitorTraceExporter(options);
  return roadTo({ receiver: 'Application Insights', metrics, traces }, log);
}

/**
 * Two habits of the exporter are mended here. It waits for an answer for as long as it takes: of a receiver that hangs each export would keep a
 * connection, and its items, while OpenTelemetry has gone on to the next. And what it would try again (no answer, 401, 403, 429, 5xx) counts for
 * sent once it was put aside, also where that means dropped: thrown as an error that it does not know, a failure stays one.
 */
function honestClient(timeout: number): HttpClient {
  const client = createDefaultHttpClient();
  return {
    async sendRequest(request) {
      request.timeout = timeout;
      const response = await client.sendRequest(request).catch(() => undefined);
      if (response === undefined || response.status >= 400) throw new Error(`not taken: ${response?.status ?? 'no answer'}`);
      return response;
    },
  };
}

/** The exporter takes plain http for a slip and makes it https; the settings let it through on a loopback address alone. */
function onLoopback(connectionString: string): Pick<AzureMonitorExporterOptions, 'host' | 'allowInsecureConnection'> {
  const [, host] = /(?:^|;)\s*IngestionEndpoint\s*=\s*(http:\/\/[^;\s]+?)\/*\s*(?:;|$)/i.exec(connectionString) ?? [];
  return host === undefined ? {} : { host, allowInsecureConnection: true };
}
