import { noTelemetry } from '../ports/telemetry.ts';
import type { Telemetry } from '../ports/telemetry.ts';
import type { Exporter, ExporterOptions } from './telemetry/exporter.ts';

export interface TelemetryOptions extends Omit<ExporterOptions, 'endpoint'> {
  /** Base address of an OTLP/HTTP receiver; null: nothing is exported. */
  readonly endpoint: string | null;
}

/** Exports by OpenTelemetry, which is loaded only where there is an endpoint: without one a start costs nothing. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { endpoint, log } = options;
  if (endpoint === null) return noTelemetry;
  const loading = import('./telemetry/otlp.ts').then(({ exportTo }) => exportTo({ ...options, endpoint }));
  let loaded: Exporter | undefined;
  void loading.then(
    (exporter) => (loaded = exporter),
    () => log('warn', 'telemetry could not be loaded'),
  );

  /** What comes before the load has ended waits for it; said above if it failed. */
  function soon(use: (exporter: Exporter) => void): void {
    if (loaded === undefined) loading.then(use, () => undefined);
    else use(loaded);
  }

  return {
    listens: true,
    operated: (ended) => soon((exporter) => exporter.operated(ended)),
    observe: (read) => soon((exporter) => exporter.observe(read)),
    close: () =>
      loading.then(
        (exporter) => exporter.close(),
        () => undefined,
      ),
  };
}
