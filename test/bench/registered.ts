import type { Bench } from './bench.ts';
import { addVault, count, createKey, eachOf, registered, unwrapShot, wrapShot } from './fleet.ts';
import type { Database } from './fleet.ts';
import type { Shot } from './load/http.ts';
import { cpuMs, residentMiB } from './process-cost.ts';
import { firstBroker, profiling, raisedBudgets, startRig } from './rig.ts';
import type { Rig } from './rig.ts';
import { copyServer } from './seed-tables.ts';

/** B1: a vault takes 500 GP databases, so that 100,000 are spread over 200 vaults. */
const databasesAVault = 500;
const databasesAServer = 10;
const concurrency = 16;

/** A world with so many databases, and requests to ten of its servers. */
interface World {
  readonly rig: Rig;
  readonly shots: readonly Shot[];
}

/** CPU an operation with 10 databases registered against 100,000 of 10,000 servers, all of which the broker's copy holds; runs alternated. */
export const registeredFleet: Bench = async ({ seconds, runs, profile, note }) => {
  note(
    'registered: the points are raised, the vaults are Managed HSMs, which do not throttle; most servers are written straight into the tables',
  );
  const few = await startRig({ ...raisedBudgets, ...profiling(profile) });
  const many = await startRig({ ...raisedBudgets, ...profiling(profile) });
  try {
    const worlds = {
      few: await populate(few, { vaults: 1, servers: 10, note }),
      many: await populate(many, { vaults: 200, servers: databasesAVault / databasesAServer, note }),
    };
    const calls = Math.round(seconds * 300);
    await costOf(worlds.few, calls);
    await costOf(worlds.many, calls);
    const costs = { few: [] as number[], many: [] as number[] };
    for (const run of count(runs)) {
      for (const size of run % 2 === 0 ? (['few', 'many'] as const) : (['many', 'few'] as const))
        costs[size].push(await costOf(worlds[size], calls));
    }
    const bench = 'registered';
    return [
      { bench, figure: 'CPU an operation, 10 databases', unit: 'µs', runs: costs.few },
      { bench, figure: 'CPU an operation, 100,000 databases', unit: 'µs', runs: costs.many },
      {
        bench,
        figure: '100,000 to 10',
        unit: 'ratio',
        runs: costs.many.map((cost, run) => cost / (costs.few[run] ?? Number.NaN)),
        target: { atMost: 1.1 },
      },
      { bench, figure: 'memory, 10 databases', unit: 'MiB', runs: [residentMiB(firstBroker(few).pid)] },
      { bench, figure: 'memory, 100,000 databases', unit: 'MiB', runs: [residentMiB(firstBroker(many).pid)] },
    ];
  } finally {
    await few.stop();
    await many.stop();
  }
};

async function populate(
  rig: Rig,
  { vaults, servers, note }: { readonly vaults: number; readonly servers: number; readonly note: (line: string) => void },
): Promise<World> {
  const { url } = firstBroker(rig);
  const templates = await registered(rig, (registrar) =>
    eachOf(count(vaults), 2, async (number): Promise<Database> => {
      const hsm = await addVault(rig.environment, `hsm-${number}`, 'managedHsm');
      await registrar.vault(hsm);
      const key = await createKey({ size: 2048, hsm: true }, hsm);
      const databases = vaults === 1 ? 1 : databasesAServer;
      const [template] = await registrar.servers({ prefix: `sql-${number}`, servers: 1, databases, tier: 'GeneralPurpose', key });
      if (template === undefined) throw new Error('no database was registered');
      return template;
    }),
  );
  const copies = await eachOf(templates, 1, (template) => copyServer(rig.environment, template, servers - 1));
  const all = [...templates, ...copies.flat()];
  note(`registered: ${all.length} servers are in the tables`);
  // Each is asked for once, so that the broker's copy of the registry holds it.
  await rig.http({ shots: all.map((database) => wrapShot(url, database)), pace: { pace: 'closed', count: all.length, concurrency } });
  // In both worlds ten servers of one vault ask: only what is registered beside them differs.
  const asked = [...templates.slice(0, 1), ...(copies[0] ?? [])].slice(0, 10);
  return { rig, shots: asked.flatMap((database) => [...count(9).map(() => wrapShot(url, database)), unwrapShot(url, database)]) };
}

/** CPU an operation of the broker process, in µs. */
async function costOf({ rig, shots }: World, calls: number): Promise<number> {
  const { pid } = firstBroker(rig);
  const before = cpuMs(pid);
  const { status, firstProblem } = await rig.http({ shots, pace: { pace: 'closed', count: calls, concurrency } });
  if (status.some((one) => one !== 200)) throw new Error(`registered: ${firstProblem ?? ''}`);
  return ((cpuMs(pid) - before) * 1000) / calls;
}
