import type { Bench } from './bench.ts';
import type { Figure } from './figures.ts';
import { addVault, count, createKey, registered, shot, unwrapShot, wrapShot } from './fleet.ts';
import type { Database } from './fleet.ts';
import type { HttpJob } from './load/http.ts';
import { cpuMs } from './process-cost.ts';
import { firstBroker, profiling, raisedBudgets, withRig } from './rig.ts';
import type { Rig } from './rig.ts';

const items = 500;
/** Callers of the single requests: as many as keep the broker busy. */
const concurrency = 16;
const warmUps = 20;

/** 500 operations in one batch against 500 single requests; runs alternated. */
export const batch: Bench = ({ runs, profile, note }) =>
  withRig({ ...raisedBudgets, ...profiling(profile) }, async (rig) => {
    note('batch: the points are raised, and the vault is a Managed HSM, which does not throttle');
    const hsm = await addVault(rig.environment, 'hsm-west', 'managedHsm');
    const key = await createKey({ size: 2048, hsm: true }, hsm);
    const databases = await registered(rig, async (registrar) => {
      await registrar.vault(hsm);
      return registrar.servers({ prefix: 'sql', servers: 1, databases: items, tier: 'GeneralPurpose', key });
    });
    const figures: Figure[] = [];
    for (const operation of ['wrap', 'unwrap'] as const) figures.push(...(await compare(rig, operation, databases, runs)));
    return figures;
  });

async function compare(rig: Rig, operation: 'wrap' | 'unwrap', databases: readonly Database[], runs: number): Promise<Figure[]> {
  const { url } = firstBroker(rig);
  const single: HttpJob = {
    shots: databases.map((database) => (operation === 'wrap' ? wrapShot : unwrapShot)(url, database)),
    pace: { pace: 'closed', count: items, concurrency },
  };
  const [first] = databases;
  if (!first) throw new Error('batch: no databases');
  const list = databases.map(({ name, dek, wrappedDek, thumbprint }) =>
    operation === 'wrap' ? { database: name, dek } : { database: name, wrappedDek, thumbprint },
  );
  const whole: HttpJob = {
    shots: [shot(`${url}/v1/servers/${first.server}/batch`, first.token, { operation, items: list })],
    pace: { pace: 'closed', count: 1, concurrency: 1 },
  };
  // Until the code of both roads is compiled: a broker that serves batches is a warm one.
  for (const _ of count(warmUps)) {
    await measure(rig, whole);
    await measure(rig, single);
  }
  const rates = { single: [] as number[], batch: [] as number[] };
  const costs = { single: [] as number[], batch: [] as number[] };
  for (const run of count(runs)) {
    for (const [name, job] of run % 2 === 0
      ? ([
          ['single', single],
          ['batch', whole],
        ] as const)
      : ([
          ['batch', whole],
          ['single', single],
        ] as const)) {
      const { ratePerS, cpuUs } = await measure(rig, job);
      rates[name].push(ratePerS);
      costs[name].push(cpuUs);
    }
  }
  const bench = 'batch';
  const ratios = (a: readonly number[], b: readonly number[]): number[] => a.map((one, run) => one / (b[run] ?? Number.NaN));
  return [
    { bench, figure: `${operation}: single requests`, unit: 'a second', runs: rates.single },
    { bench, figure: `${operation}: one batch of ${items}`, unit: 'a second', runs: rates.batch },
    { bench, figure: `${operation}: batch to single`, unit: 'ratio', runs: ratios(rates.batch, rates.single), target: { atLeast: 3 } },
    { bench, figure: `${operation}: CPU, single to batch`, unit: 'ratio', runs: ratios(costs.single, costs.batch) },
  ];
}

/** Operations a second, and CPU of the broker process an operation in µs. */
async function measure(rig: Rig, job: HttpJob): Promise<{ readonly ratePerS: number; readonly cpuUs: number }> {
  const { pid } = firstBroker(rig);
  const before = cpuMs(pid);
  const { status, elapsedMs, firstProblem } = await rig.http(job);
  if (status.some((one) => one !== 200)) throw new Error(`batch: ${firstProblem ?? ''}`);
  return { ratePerS: (items * 1000) / elapsedMs, cpuUs: ((cpuMs(pid) - before) * 1000) / items };
}
