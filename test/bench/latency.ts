import type { Bench } from './bench.ts';
import { median, quantile } from './figures.ts';
import type { Figure } from './figures.ts';
import { count, unthrottledFleet, unwrapShot, wrapShot } from './fleet.ts';
import type { HttpJob } from './load/http.ts';
import type { Outcome, Pace } from './load/pace.ts';
import type { SdkJob } from './load/sdk.ts';
import { firstBroker, profiling, raisedBudgets, withRig } from './rig.ts';
import type { Rig } from './rig.ts';

type Operation = 'wrap' | 'unwrap';

/** The same operation by both roads. */
interface Roads {
  readonly operation: Operation;
  readonly broker: HttpJob['shots'];
  readonly direct: SdkJob['calls'];
}

/** Latency that the broker adds to a direct SDK call, both at half of the rate at which this machine's CPU is used up; runs alternated. */
export const latency: Bench = ({ seconds, runs, profile, note }) =>
  withRig({ ...raisedBudgets, ...profiling(profile) }, async (rig) => {
    note('latency: the points are raised, and the vault is a Managed HSM, which does not throttle');
    const databases = await unthrottledFleet(rig);
    const { url } = firstBroker(rig);
    const figures: Figure[] = [];
    for (const operation of ['wrap', 'unwrap'] as const) {
      const roads: Roads = {
        operation,
        broker: databases.map((database) => (operation === 'wrap' ? wrapShot : unwrapShot)(url, database)),
        direct: databases.map(({ keyId, dek, wrappedDek }) => ({ operation, keyId, value: operation === 'wrap' ? dek : wrappedDek })),
      };
      figures.push(...(await addedLatency(rig, roads, { seconds, runs })));
    }
    return figures;
  });

async function addedLatency(
  rig: Rig,
  roads: Roads,
  { seconds, runs }: { readonly seconds: number; readonly runs: number },
): Promise<Figure[]> {
  const throughBroker = (pace: Pace): Promise<Outcome> => rig.http({ shots: roads.broker, pace });
  const straight = (pace: Pace): Promise<Outcome> => rig.sdk({ calls: roads.direct, pace });
  // With less, the first that is measured pays for compiling what all use.
  const warm: Pace = { pace: 'closed', count: Math.round(seconds * 4000), concurrency: 16 };
  await straight(warm);
  await throughBroker(warm);
  const busy = await throughBroker({ pace: 'closed', count: Math.round(seconds * 400), concurrency: 16 });
  const most = (busy.status.length * 1000) / busy.elapsedMs;
  const ratePerS = most / 2;
  const half: Pace = { pace: 'open', count: Math.round(ratePerS * seconds), ratePerS };

  const added = { p50: [] as number[], p99: [] as number[] };
  const direct = { p50: [] as number[], p99: [] as number[] };
  for (const run of count(runs)) {
    const first = run % 2 === 0 ? await throughBroker(half) : await straight(half);
    const second = run % 2 === 0 ? await straight(half) : await throughBroker(half);
    const [broker, sdk] = run % 2 === 0 ? [first, second] : [second, first];
    for (const [name, q] of [
      ['p50', 0.5],
      ['p99', 0.99],
    ] as const) {
      direct[name].push(quantile(served(sdk), q));
      added[name].push(quantile(served(broker), q) - quantile(served(sdk), q));
    }
  }
  const { operation } = roads;
  const bench = 'latency';
  return [
    { bench, figure: `${operation}: most that this machine carries`, unit: 'a second', runs: [most] },
    { bench, figure: `${operation}: direct p50`, unit: 'ms', runs: direct.p50 },
    { bench, figure: `${operation}: direct p99`, unit: 'ms', runs: direct.p99 },
    { bench, figure: `${operation}: added p50 at half of it`, unit: 'ms', runs: added.p50, target: { atMost: 2 } },
    { bench, figure: `${operation}: added p99 at half of it`, unit: 'ms', runs: added.p99, target: { atMost: 10 } },
    { bench, figure: `${operation}: added p50 to direct p50`, unit: 'ratio', runs: [median(added.p50) / median(direct.p50)] },
  ];
}

function served({ status, latencyMs, firstProblem }: Outcome): Float64Array {
  if (status.some((one) => one !== 200)) throw new Error(`latency: a call failed: ${firstProblem ?? ''}`);
  return latencyMs;
}
