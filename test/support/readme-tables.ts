import { measures, readings } from '../../src/ports/telemetry.ts';
import { settingsTable } from '../../src/settings.ts';

function metricsTable(): string {
  const rows = Object.entries({ ...measures, ...readings }).map(
    ([name, { unit, description }]) => `| \`${name}\` | \`${unit}\` | ${description} |`,
  );
  return ['| metric | unit | meaning |', '|---|---|---|', ...rows].join('\n');
}

/** The tables of the README that follow from the code, by the name of their marks. */
export const readmeTables: Readonly<Record<'settings' | 'metrics', string>> = { settings: settingsTable(), metrics: metricsTable() };
