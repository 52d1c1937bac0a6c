import type { FleetVault } from '../local/vault/fleet.ts';
import type { Bench } from './bench.ts';
import { quantile, tally } from './figures.ts';
import type { Figure } from './figures.ts';
import { addVault, count, createKey, registered, unwrapShot } from './fleet.ts';
import type { Database, Key } from './fleet.ts';
import { leastTimeMs } from './limits.ts';
import type { Limit } from './limits.ts';
import type { Outcome } from './load/pace.ts';
import { pause, withRig } from './rig.ts';
import type { Rig } from './rig.ts';

/** RSA-3072 in an HSM, the slowest that Azure SQL may use: 500 operations in 10 s. */
const service = 500;
const gp: Limit = { service, points: 2 };
const bc: Limit = { service, points: 5 };
/** Of a BC database: all ask at once for the same DEK. */
const replicas = 4;
/**
 * Nothing that was spent before, by the broker or the vault's count, reaches into a storm: not the last lease either, of a window, a lease's life
 * and an attempt. To an instance that has just started the clock of the one that registered the fleet may be wrong by 2 s more.
 */
const quietMs = 15_500;
const withinMs = 180_000;

interface Storm {
  readonly name: string;
  readonly gp: readonly Database[];
  readonly bc: readonly Database[];
}

interface Place {
  readonly rig: Rig;
  readonly vault: FleetVault;
  readonly note: (line: string) => void;
}

/** A fleet that asks at once: through 1, 2 and 4 instances with their default settings, and by plain SDK clients. */
export const storm: Bench = ({ note }) =>
  withRig({}, async (rig) => {
    note('storm: default settings; the vault enforces the service\'s limits; "served" as design section 10 has it');
    const west = await addVault(rig.environment, 'kv-storm');
    const key = await createKey({ size: 3072, hsm: true }, west);
    const fleets = await register(rig, west, key);
    const storms: readonly Storm[] = [
      { name: '500 GP', gp: fleets.gp, bc: [] },
      { name: '200 BC x 4', gp: [], bc: fleets.bc },
      { name: '250 GP + 100 BC x 4', gp: fleets.gp.slice(0, 250), bc: fleets.bc.slice(0, 100) },
    ];
    const figures: Figure[] = [];
    for (const instances of [1, 2, 4]) {
      while (rig.environment.brokers.list().length < instances) await rig.environment.brokers.start();
      for (const one of storms) {
        note(`storm: ${one.name} through ${instances} of the broker`);
        figures.push(...(await throughBroker({ rig, vault: west, note }, one)));
      }
    }
    for (const one of storms) figures.push(...(await bySdk(rig, west, one)));
    note('storm: 500 GP with a standby, the first vault hangs at that moment');
    figures.push(...(await inOutage(rig, note)));
    return figures;
  });

/** Registered one after the other: together they would be beyond the association budget, and only what asks makes a storm. */
async function register(rig: Rig, vault: FleetVault, key: Key): Promise<{ readonly gp: Database[]; readonly bc: Database[] }> {
  return registered(rig, async (registrar) => {
    await registrar.vault(vault);
    const common = { databases: 10, key };
    return {
      gp: await registrar.servers({ prefix: 'gp', servers: 50, tier: 'GeneralPurpose', ...common }),
      bc: await registrar.servers({ prefix: 'bc', servers: 20, tier: 'BusinessCritical', ...common }),
    };
  });
}

async function throughBroker({ rig, vault, note }: Place, storm: Storm): Promise<Figure[]> {
  const urls = rig.environment.brokers.list().map(({ url }) => url);
  const at = (number: number): string => urls[number % urls.length] ?? '';
  const shots = [
    ...storm.gp.map((database, number) => unwrapShot(at(number), database)),
    ...storm.bc.flatMap((database) => count(replicas).map((replica) => unwrapShot(at(replica), database))),
  ];
  // The storm is of instances that serve: what the first call of one costs is told by the bench `coldstart`.
  await rig.http({ shots: shots.slice(0, urls.length), pace: { pace: 'closed', count: urls.length, concurrency: 1 } });
  await pause(quietMs);
  vault.clearCalls();
  const outcome = await rig.http({ shots, pace: { pace: 'storm', count: shots.length, withinMs } });
  if (outcome.firstDefeat !== undefined) note(`storm: ${tally(outcome.status)}; first defeat: ${outcome.firstDefeat}`);
  const coalesced = storm.bc.length * Math.min(replicas, urls.length);
  const least = leastTimeMs([
    { calls: storm.gp.length, limit: gp },
    { calls: coalesced, limit: bc },
  ]);
  const bench = `storm ${urls.length} inst.`;
  return [
    ...figuresOf({ bench, storm, outcome, vault, judged: true }),
    {
      bench,
      figure: `${storm.name}: unwraps at the vault to those that must be`,
      unit: 'ratio',
      runs: [unwraps(vault) / (storm.gp.length + coalesced)],
    },
    { bench, figure: `${storm.name}: time that the limits allow`, unit: 's', runs: [least / 1000] },
    { bench, figure: `${storm.name}: time to that`, unit: 'ratio', runs: [lastAt(outcome) / least], target: { atMost: 1.1 } },
  ];
}

/** Each replica is a client of its own, with its own retries. */
async function bySdk(rig: Rig, vault: FleetVault, storm: Storm): Promise<Figure[]> {
  const callers = [...storm.gp, ...storm.bc.flatMap((database) => count(replicas).map(() => database))];
  const calls = callers.map(({ keyId, wrappedDek }) => ({ operation: 'unwrap' as const, keyId, value: wrappedDek }));
  await pause(quietMs);
  vault.clearCalls();
  const outcome = await rig.sdk({ calls, plain: true, pace: { pace: 'storm', count: calls.length, withinMs } });
  return figuresOf({ bench: 'storm plain SDK', storm, outcome, vault, judged: false });
}

interface Weathered {
  readonly bench: string;
  readonly storm: Storm;
  readonly outcome: Outcome;
  readonly vault: FleetVault;
  /** Whether the targets hold for it. */
  readonly judged: boolean;
}

function figuresOf({ bench, storm, outcome, vault, judged }: Weathered): Figure[] {
  const { name } = storm;
  const served = outcome.status.filter((status) => status === 200).length;
  const throttled = vault.calls().filter(({ status }) => status === 429).length;
  return [
    {
      bench,
      figure: `${name}: served`,
      unit: '%',
      runs: [(served * 100) / outcome.status.length],
      ...(judged && { target: { exactly: 100 } }),
    },
    { bench, figure: `${name}: 429 from the vault`, unit: '', runs: [throttled], ...(judged && { target: { exactly: 0 } }) },
    {
      bench,
      figure: `${name}: requests a caller`,
      unit: '',
      runs: [outcome.tries.reduce((sum, tries) => sum + tries, 0) / outcome.tries.length],
    },
    { bench, figure: `${name}: half was served after`, unit: 's', runs: [quantile(outcome.latencyMs, 0.5) / 1000] },
    { bench, figure: `${name}: all were served after`, unit: 's', runs: [lastAt(outcome) / 1000] },
  ];
}

function lastAt({ latencyMs, sentAt }: Outcome): number {
  return latencyMs.reduce((last, latency, index) => Math.max(last, latency + (sentAt[index] ?? 0)), 0);
}

function unwraps(vault: FleetVault): number {
  return vault.calls().filter(({ operation }) => operation === 'unwrapKey').length;
}

/** The first vault of two hangs at the moment of the storm: the standby's budget is the limit, and F2 wants outages of at least two keys. */
async function inOutage(rig: Rig, note: (line: string) => void): Promise<Figure[]> {
  const { environment } = rig;
  const west = await addVault(environment, 'kv-storm-first');
  const { tenant } = environment.issuer;
  const north = await environment.fleet.addVault({ name: 'kv-storm-second', region: 'northeurope', geography: 'Europe', tenant });
  const keys = await Promise.all([1, 2].map(() => createKey({ size: 3072, hsm: true }, west, north)));
  const databases = await registered(rig, async (registrar) => {
    await registrar.vault(west);
    await registrar.vault(north);
    const fleets: Database[][] = [];
    for (const [number, key] of keys.entries()) {
      fleets.push(await registrar.servers({ prefix: `away-${number}`, servers: 25, databases: 10, tier: 'GeneralPurpose', key }));
    }
    return fleets.flat();
  });
  const urls = environment.brokers.list().map(({ url }) => url);
  const shots = databases.map((database, number) => unwrapShot(urls[number % urls.length] ?? '', database));
  await pause(quietMs);
  west.clearCalls();
  north.clearCalls();
  await west.setFault({ fault: 'hang' });
  const outcome = await rig.http({ shots, pace: { pace: 'storm', count: shots.length, withinMs } });
  await west.clearFault();
  if (outcome.firstDefeat !== undefined) note(`storm: ${tally(outcome.status)}; first defeat: ${outcome.firstDefeat}`);
  const bench = `storm ${urls.length} inst.`;
  const storm = { name: 'outage: 500 GP', gp: databases, bc: [] };
  const throttled = west.calls().filter(({ status }) => status === 429).length;
  const least = leastTimeMs([{ calls: databases.length, limit: gp }]);
  return [
    ...figuresOf({ bench, storm, outcome, vault: north, judged: true }),
    { bench, figure: `${storm.name}: 429 from the first vault`, unit: '', runs: [throttled], target: { exactly: 0 } },
    { bench, figure: `${storm.name}: unwraps at the standby a database`, unit: 'ratio', runs: [unwraps(north) / databases.length] },
    { bench, figure: `${storm.name}: time to what the standby's limits allow`, unit: 'ratio', runs: [lastAt(outcome) / least] },
  ];
}
