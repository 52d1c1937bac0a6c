/** What a figure is measured against (design, section 10). */
export type Target = { readonly atMost: number } | { readonly atLeast: number } | { readonly exactly: number };

/** One figure of a bench, measured once or several times in one run. */
export interface Figure {
  readonly bench: string;
  readonly figure: string;
  /** E.g. `ms`, `µs`, `ratio`. */
  readonly unit: string;
  /** The measured values, one a run. */
  readonly runs: readonly number[];
  /** Absent: for information. */
  readonly target?: Target;
}

/** A figure as it is printed: the median of its runs with their spread. */
export interface Row extends Omit<Figure, 'runs'> {
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
  readonly verdict: 'met' | 'missed' | 'information';
}

export function rowOf({ runs, ...figure }: Figure): Row {
  const value = median(runs);
  return { ...figure, value, min: Math.min(...runs), max: Math.max(...runs), runs: runs.length, verdict: verdictOf(value, figure.target) };
}

function verdictOf(value: number, target: Target | undefined): Row['verdict'] {
  if (target === undefined) return 'information';
  if ('atMost' in target) return value <= target.atMost ? 'met' : 'missed';
  if ('atLeast' in target) return value >= target.atLeast ? 'met' : 'missed';
  return value === target.exactly ? 'met' : 'missed';
}

/** The value below which the share `q` of the values lies; NaN of none. */
export function quantile(values: Iterable<number>, q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

/** The middle value, or the mean of the two in the middle; NaN of none. */
export function median(values: Iterable<number>): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}

/** The rows as a table for a terminal. */
export function printTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [row.bench, row.figure, written(row.value, row.unit), spread(row), targetText(row), verdictText(row)]);
  const all = [['bench', 'figure', 'value', 'spread (runs)', 'target', 'verdict'], ...cells];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? [];
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function spread({ min, max, runs }: Row): string {
  return runs === 1 ? '(1)' : `${short(min)} .. ${short(max)} (${runs})`;
}

function targetText({ target, unit }: Row): string {
  if (target === undefined) return '';
  if ('atMost' in target) return `<= ${written(target.atMost, unit)}`;
  return 'atLeast' in target ? `>= ${written(target.atLeast, unit)}` : `= ${written(target.exactly, unit)}`;
}

function verdictText({ verdict }: Row): string {
  return verdict === 'information' ? '' : verdict;
}

function written(value: number, unit: string): string {
  return unit === 'ratio' || unit === '' ? short(value) : `${short(value)} ${unit}`;
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

/** How often each value occurs, e.g. `200 x 480, 503 x 20`. */
export function tally(values: Iterable<number>): string {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, times]) => `${value} x ${times}`).join(', ');
}
