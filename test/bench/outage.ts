import type { Bench } from './bench.ts';
import { median, quantile } from './figures.ts';
import type { Figure } from './figures.ts';
import { addVault, createKey, registered, unwrapShot } from './fleet.ts';
import type { Database } from './fleet.ts';
import type { Outcome } from './load/pace.ts';
import { residentMiB } from './process-cost.ts';
import { firstBroker, pause, withRig } from './rig.ts';
import type { Rig } from './rig.ts';

/** Issue: 450 servers with a GP database each, which leaves room for probes within one window of the budget. */
const servers = 450;
const quietMs = 13_000;
/** Steady traffic for the share of slow requests: within the budget of both vaults. */
const ratePerS = 30;
const beforeS = 5;
const hangS = 10;
const slowMs = 100;

/** The first vault of two hangs: under steady traffic, and at the moment of a storm. */
export const outage: Bench = ({ note }) =>
  withRig({}, async (rig) => {
    note('outage: default settings; the first vault of two hangs, the standbys lie in the second');
    const { environment } = rig;
    const west = await addVault(environment, 'kv-first');
    const north = await environment.fleet.addVault({
      name: 'kv-second',
      region: 'northeurope',
      geography: 'Europe',
      tenant: environment.issuer.tenant,
    });
    const keys = await Promise.all([1, 2, 3].map(() => createKey({ size: 2048, hsm: false }, west, north)));
    const databases = await registered(rig, async (registrar) => {
      await registrar.vault(west);
      await registrar.vault(north);
      const fleets: Database[][] = [];
      for (const [number, key] of keys.entries()) {
        const wish = { prefix: `sql-${number}`, servers: servers / keys.length, databases: 1, tier: 'GeneralPurpose', key } as const;
        fleets.push(await registrar.servers(wish));
      }
      return fleets;
    });
    const shotsByKey = databases.map((fleet) => fleet.map((database) => unwrapShot(firstBroker(rig).url, database)));
    const [oneKey = []] = shotsByKey;
    const shots = oneKey.flatMap((_, index) => shotsByKey.flatMap((ofKey) => ofKey[index] ?? []));
    // Every server has been asked for once before: the broker's copy of the registry knows it.
    for (const part of [0, 1, 2]) {
      await pause(quietMs);
      const some = shots.slice(part * 150, (part + 1) * 150);
      await rig.http({ shots: some, pace: { pace: 'closed', count: some.length, concurrency: 8 } });
    }
    const share = [
      ...(await steadyInOutage(rig, { west, shots }, `${keys.length} keys`)),
      ...(await steadyInOutage(rig, { west, shots: oneKey }, 'one key')),
    ];
    return [...share, ...(await stormInOutage(rig, { west, north, shots }))];
  });

/** F2: outages of one key alone open no circuit, a failed canary does; so the same again where all servers use one key. */
async function steadyInOutage(rig: Rig, { west, shots }: Pick<Field, 'west' | 'shots'>, fleet: string): Promise<Figure[]> {
  await pause(quietMs);
  const steady = rig.http({ shots, pace: { pace: 'open', count: (beforeS + hangS) * ratePerS, ratePerS } });
  await pause(beforeS * 1000);
  await west.setFault({ fault: 'hang' });
  const share = shareOfSlow(await steady, `outage, ${fleet}`);
  await west.clearFault();
  await pause(quietMs);
  return share;
}

interface Field {
  readonly west: { setFault(fault: { fault: 'hang' }): Promise<void>; clearFault(): Promise<void> };
  readonly north: { calls(): readonly { status: number | null }[]; clearCalls(): void };
  readonly shots: ReturnType<typeof unwrapShot>[];
}

async function stormInOutage(rig: Rig, { west, north, shots }: Field): Promise<Figure[]> {
  const broker = firstBroker(rig);
  north.clearCalls();
  const memoryBefore = residentMiB(broker.pid);
  const requestsBefore = broker.tableRequests();
  await west.setFault({ fault: 'hang' });
  const outcome = await rig.http({ shots, pace: { pace: 'storm', count: shots.length, withinMs: 60_000 } });
  const seconds = outcome.elapsedMs / 1000;
  const requests = broker.tableRequests();
  const grown = (name: string): number => (requests[name] ?? 0) - (requestsBefore[name] ?? 0);
  const all = Object.keys(requests).reduce((sum, name) => sum + grown(name), 0);
  const bench = 'outage storm';
  return [
    { bench, figure: 'served', unit: '%', runs: [percent(outcome, (status) => status === 200)], target: { exactly: 100 } },
    { bench, figure: 'requests a caller', unit: '', runs: [median(outcome.tries)] },
    { bench, figure: 'half was served after', unit: 's', runs: [quantile(outcome.latencyMs, 0.5) / 1000] },
    { bench, figure: 'all were served after', unit: 's', runs: [seconds], target: { atMost: 3 } },
    {
      bench,
      figure: 'reads of denials and proofs, a vault',
      unit: 'a second',
      runs: [grown('GET keybrokeraccess') / seconds / 2],
      target: { atMost: 1 },
    },
    { bench, figure: 'all requests to the store', unit: 'a second', runs: [all / seconds] },
    {
      bench,
      figure: '429 from the second vault',
      unit: '',
      runs: [north.calls().filter(({ status }) => status === 429).length],
      target: { exactly: 0 },
    },
    { bench, figure: 'memory grown', unit: 'MiB', runs: [residentMiB(broker.pid) - memoryBefore] },
  ];
}

/** Requests that were sent in the first 10 s of the hang and took over 100 ms more than those before it. */
function shareOfSlow(outcome: Outcome, bench: string): Figure[] {
  const before: number[] = [];
  const during: number[] = [];
  for (const [index, sent] of outcome.sentAt.entries()) {
    (sent < beforeS * 1000 ? before : during).push(outcome.latencyMs[index] ?? 0);
  }
  const usual = median(before);
  const slow = during.filter((latency) => latency > usual + slowMs).length;
  return [
    { bench, figure: 'served', unit: '%', runs: [percent(outcome, (status) => status === 200)], target: { exactly: 100 } },
    { bench, figure: 'usual latency', unit: 'ms', runs: [usual] },
    { bench, figure: `first 10 s of a hang: over ${slowMs} ms slower`, unit: '%', runs: [(slow * 100) / during.length] },
    { bench, figure: 'first 10 s of a hang: slowest', unit: 'ms', runs: [Math.max(...during)] },
  ];
}

function percent({ status }: Outcome, holds: (status: number) => boolean): number {
  return (status.filter(holds).length * 100) / status.length;
}
