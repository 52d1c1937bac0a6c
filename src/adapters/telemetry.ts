import { noTelemetry } from '../ports/telemetry.ts';
import type { Telemetry } from '../ports/telemetry.ts';
import type { Exporter, ExporterOptions } from './telemetry/exporter.ts';

/** Exports by OpenTelemetry, which is loaded only where there is somebody to export to: else a start costs nothing. */
export function createTelemetry(options: ExporterOptions): Telemetry {
  const { endpoint, insights, log } = options;
  if (endpoint === null && insights === null) return noTelemetry;
  const loading = import('./telemetry/instruments.ts').then(({ exportTo }) => exportTo(options));
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
