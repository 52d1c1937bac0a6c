import { appendFile } from 'node:fs/promises';
import type { Bench } from './bench.ts';
import type { Figure } from './figures.ts';
import { addVault, count, createKey, registered, shot, unwrapShot, wrapShot } from './fleet.ts';
import type { Database } from './fleet.ts';
import type { HttpJob } from './load/http.ts';
import type { PreparedVault, PreparedVaultJob } from './prepared-vault.ts';
import { cpuMs } from './process-cost.ts';
import { profiling, raisedBudgets, withRig } from './rig.ts';
import type { Rig } from './rig.ts';

type Operation = 'wrap' | 'unwrap';
type Way = 'single' | 'batch';

const items = 1000;
/**
 * Callers: as many as keep the broker busy. While a single caller of batches read what came back, it would have nothing to do. Each has a
 * batch of its own, since identical unwraps in flight share one call.
 */
const concurrency = { single: 16, batch: 2 } as const;
/** Batches of each operation, and as many operations one by one: with less, the first that is measured pays for compiling what all use. */
const warmUps = 30;

/** So many times the operations are measured in batches, which take about a third of the time: what lasts longer scatters less. */
const batchesLast = 3;

/** One operation on the databases of one vault, and what was measured of it. */
interface Subject {
  readonly vault: 'prepared vault' | 'local vault';
  readonly operation: Operation;
  readonly databases: readonly Database[];
  readonly rates: Readonly<Record<Way, number[]>>;
  readonly costs: Readonly<Record<Way, number[]>>;
}

/** The measured instance, and who asks it. */
interface Place {
  readonly rig: Rig;
  readonly broker: { readonly url: string; readonly pid: number };
}

/** 1000 operations in one batch against as many single requests; runs alternated. */
export const batch: Bench = ({ seconds, runs, profile, note }) =>
  withRig(raisedBudgets, async (rig) => {
    note('batch: the points are raised, and the vaults are Managed HSMs, which do not throttle');
    note(
      'batch: the local vault shares two cores with the broker and its RSA is done in software: where batches wait for it, it is the limit',
    );
    note(
      'batch: so the target holds for a prepared vault, which has the answers of a local vault ready; calls, TLS and answers are the same',
    );
    const local = await addVault(rig.environment, 'hsm-local', 'managedHsm');
    const behind = await addVault(rig.environment, 'hsm-prepared', 'managedHsm');
    const prepared = await (await rig.child('prepared-vault.ts')).do<PreparedVault>({ uri: behind.uri } satisfies PreparedVaultJob);
    // Brokers read whom they trust at their start, so those that start from here on trust the prepared vault too.
    await appendFile(rig.environment.ca, prepared.ca);
    const keys = { local: await createKey({ size: 2048, hsm: true }, local), behind: await createKey({ size: 2048, hsm: true }, behind) };
    const fleets = await registered(rig, async (registrar) => {
      await registrar.vault(local);
      await registrar.vault({ ...behind, uri: prepared.uri });
      const wish = { servers: concurrency.batch, databases: items, tier: 'GeneralPurpose' } as const;
      const key = { keyId: keys.behind.keyId.replace(behind.uri, prepared.uri), standbyKeyId: undefined };
      return {
        'prepared vault': await registrar.servers({ ...wish, prefix: 'prepared', key }),
        'local vault': await registrar.servers({ ...wish, prefix: 'local', key: keys.local }),
      };
    });
    const place = { rig, broker: await rig.environment.brokers.start(profiling(profile)) };
    const subjects = (['prepared vault', 'local vault'] as const).flatMap((vault) =>
      (['wrap', 'unwrap'] as const).map((operation): Subject => ({ vault, operation, databases: fleets[vault], ...nothingYet() })),
    );
    for (const subject of subjects.slice(0, 2)) for (const way of ways) await measure(place, subject, way, warmUps);
    await alternated(place, subjects, { runs, batches: Math.max(1, Math.round(seconds * 2)) });
    return subjects.flatMap(figuresOf);
  });

const ways: readonly Way[] = ['single', 'batch'];

function nothingYet(): Pick<Subject, 'rates' | 'costs'> {
  return { rates: { single: [], batch: [] }, costs: { single: [], batch: [] } };
}

/** Every other run backwards: whatever drifts on the machine meets the first as often as the last. */
async function alternated(
  place: Place,
  subjects: readonly Subject[],
  { runs, batches }: { readonly runs: number; readonly batches: number },
): Promise<void> {
  for (const run of count(runs)) {
    const [order, both] = run % 2 === 0 ? [subjects, ways] : [subjects.toReversed(), ways.toReversed()];
    for (const subject of order) {
      for (const way of both) {
        const { ratePerS, cpuUs } = await measure(place, subject, way, way === 'batch' ? batches * batchesLast : batches);
        subject.rates[way].push(ratePerS);
        subject.costs[way].push(cpuUs);
      }
    }
  }
}

function figuresOf({ vault, operation, rates, costs }: Subject): Figure[] {
  const bench = 'batch';
  const what = `${operation}, ${vault}`;
  const ratios = (a: readonly number[], b: readonly number[]): number[] => a.map((one, run) => one / (b[run] ?? Number.NaN));
  const target = vault === 'prepared vault' && ({ target: { atLeast: 3 } } as const);
  return [
    { bench, figure: `${what}: single requests`, unit: 'a second', runs: rates.single },
    { bench, figure: `${what}: one batch of ${items}`, unit: 'a second', runs: rates.batch },
    { bench, figure: `${what}: batch to single`, unit: 'ratio', runs: ratios(rates.batch, rates.single), ...target },
    { bench, figure: `${what}: CPU of a single request`, unit: 'µs', runs: costs.single },
    { bench, figure: `${what}: CPU of an item`, unit: 'µs', runs: costs.batch },
    { bench, figure: `${what}: CPU, single to batch`, unit: 'ratio', runs: ratios(costs.single, costs.batch) },
  ];
}

/** Does so many batches, one after the other, or as many operations one by one: operations a second, and CPU of the broker process for one, in µs. */
async function measure(
  { rig, broker }: Place,
  { operation, databases }: Subject,
  way: Way,
  batches: number,
): Promise<{ readonly ratePerS: number; readonly cpuUs: number }> {
  const job = (way === 'batch' ? batchJob : singleJob)(broker.url, operation, databases, batches);
  const before = cpuMs(broker.pid);
  const { status, elapsedMs, firstProblem } = await rig.http(job);
  if (status.some((one) => one !== 200)) throw new Error(`batch: ${firstProblem ?? ''}`);
  const operations = items * batches;
  return { ratePerS: (operations * 1000) / elapsedMs, cpuUs: ((cpuMs(broker.pid) - before) * 1000) / operations };
}

function singleJob(url: string, operation: Operation, databases: readonly Database[], batches: number): HttpJob {
  return {
    shots: databases.map((database) => (operation === 'wrap' ? wrapShot : unwrapShot)(url, database)),
    pace: { pace: 'closed', count: items * batches, concurrency: concurrency.single },
  };
}

function batchJob(url: string, operation: Operation, databases: readonly Database[], batches: number): HttpJob {
  const shots = Object.entries(Object.groupBy(databases, ({ server }) => server)).map(([server, own = []]) => {
    const list = own.map(({ name, dek, wrappedDek, thumbprint }) =>
      operation === 'wrap' ? { database: name, dek } : { database: name, wrappedDek, thumbprint },
    );
    return shot(`${url}/v1/servers/${server}/batch`, own[0]?.token ?? '', { operation, items: list });
  });
  return { shots, pace: { pace: 'closed', count: batches, concurrency: concurrency.batch } };
}
