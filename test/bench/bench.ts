import { parseArgs } from 'node:util';
import { cpus } from 'node:os';
import { printTable, rowOf } from './figures.ts';
import type { Figure, Row } from './figures.ts';
import { admission } from './admission.ts';
import { audit } from './audit.ts';
import { batch } from './batch.ts';
import { coldstart } from './coldstart.ts';
import { cpu } from './cpu.ts';
import { latency } from './latency.ts';
import { memory } from './memory.ts';
import { outage } from './outage.ts';
import { registeredFleet } from './registered.ts';
import { storm } from './storm.ts';
import { assertCostsReadable } from './process-cost.ts';

/** How much is measured. */
export interface Scale {
  /** Length of one run, in seconds; benches with a length of their own ignore it. */
  readonly seconds: number;
  /** Alternated runs of each thing that is compared. */
  readonly runs: number;
  /** Where brokers write CPU profiles at their end; undefined: nowhere. A profile costs time itself. */
  readonly profile: string | undefined;
  /** Says something that a reader of the figures must know. */
  readonly note: (line: string) => void;
}

/** Measures; rejects only where something could not be measured. */
export type Bench = (scale: Scale) => Promise<readonly Figure[]>;

const benches: Readonly<Record<string, Bench>> = {
  cpu,
  latency,
  batch,
  registered: registeredFleet,
  storm,
  outage,
  memory,
  audit,
  admission,
  coldstart,
};

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '5' },
    runs: { type: 'string', default: '5' },
    profile: { type: 'string' },
  },
});

try {
  const scale = readScale();
  assertCostsReadable();
  const chosen = positionals.length > 0 ? positionals : Object.keys(benches);
  const unknown = chosen.filter((name) => !(name in benches));
  if (unknown.length > 0) throw new Error(`no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`);
  const rows: Row[] = [];
  for (const name of chosen) {
    say(`${name} ...`);
    rows.push(...((await benches[name]?.(scale)) ?? []).map(rowOf));
  }
  const [core] = cpus();
  const machine = { cpu: core?.model ?? 'unknown', cores: cpus().length, node: process.version };
  if (given.json) console.log(JSON.stringify({ machine, rows }, undefined, 2));
  else console.log(`\n${printTable(rows)}\n\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`);
} catch (error) {
  console.error(`The bench failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function readScale(): Scale {
  const seconds = Number(given.seconds);
  const runs = Number(given.runs);
  if (!(seconds > 0)) throw new Error('--seconds must be a number above 0');
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs must be a whole number above 0');
  return { seconds, runs, profile: given.profile, note: say };
}

/** On stderr, so that stdout has the figures alone. */
function say(line: string): void {
  console.error(line);
}
