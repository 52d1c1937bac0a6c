import type { Bench } from './bench.ts';
import { median } from './figures.ts';
import type { Figure } from './figures.ts';
import { count, shot, unthrottledFleet, unwrapShot, wrapShot } from './fleet.ts';
import type { Database } from './fleet.ts';
import type { Shot } from './load/http.ts';
import { cpuMs } from './process-cost.ts';
import { profiling, raisedBudgets, withRig } from './rig.ts';
import type { Rig } from './rig.ts';

/** A process that answers wraps and unwraps. */
interface Subject {
  readonly name: 'broker' | 'function' | 'handler' | 'proxy';
  readonly pid: number;
  readonly shots: Readonly<Record<Operation, readonly Shot[]>>;
}

type Operation = 'wrap' | 'unwrap';
const operations: readonly Operation[] = ['wrap', 'unwrap'];

/** Callers that are never without a request under way: enough to keep the measured process busy, too few to make a queue. */
const concurrency = 16;

/** So many runs of each before the first that counts: with less, that one pays for compiling what all use. */
const warmUps = 4;

/** CPU an operation of the broker process, against a bare handler and a bare proxy; runs alternated. */
export const cpu: Bench = ({ seconds, runs, profile, note }) =>
  withRig({ ...raisedBudgets, ...profiling(profile) }, async (rig) => {
    note('cpu: the points are raised, and the vault is a Managed HSM, which does not throttle');
    const subjects = await startSubjects(rig);
    const perRun = Math.max(200, Math.round(seconds * 800));
    for (const subject of subjects) for (const operation of operations) await costOf(rig, subject, operation, perRun * warmUps);
    const costs = await alternated(rig, subjects, { runs, perRun });
    return operations.flatMap((operation) => figuresOf(operation, costs[operation]));
  });

type Costs = Record<Subject['name'], number[]>;

async function alternated(
  rig: Rig,
  subjects: readonly Subject[],
  { runs, perRun }: { readonly runs: number; readonly perRun: number },
): Promise<Record<Operation, Costs>> {
  const none = (): Costs => ({ broker: [], function: [], handler: [], proxy: [] });
  const costs = { wrap: none(), unwrap: none() };
  for (const run of count(runs)) {
    // Every other run backwards: whatever drifts on the machine meets the first as often as the last.
    const order = run % 2 === 0 ? subjects : subjects.toReversed();
    for (const operation of operations) {
      for (const subject of order) costs[operation][subject.name].push(await costOf(rig, subject, operation, perRun));
    }
  }
  return costs;
}

/** CPU an operation, in µs. */
async function costOf({ http }: Rig, { name, pid, shots }: Subject, operation: Operation, calls: number): Promise<number> {
  const before = cpuMs(pid);
  const { status, firstProblem } = await http({ shots: shots[operation], pace: { pace: 'closed', count: calls, concurrency } });
  const failed = status.find((one) => one !== 200);
  if (failed !== undefined) throw new Error(`cpu: ${name} answered ${failed} to ${operation}: ${firstProblem ?? ''}`);
  return ((cpuMs(pid) - before) * 1000) / calls;
}

function figuresOf(operation: Operation, { broker, function: bareFunction, handler, proxy }: Costs): Figure[] {
  const ratio = (other: readonly number[]): number[] => broker.map((cost, run) => cost / (other[run] ?? Number.NaN));
  const bench = 'cpu';
  return [
    { bench, figure: `${operation}: broker`, unit: 'µs', runs: broker },
    { bench, figure: `${operation}: bare function in the same host`, unit: 'µs', runs: bareFunction },
    { bench, figure: `${operation}: bare handler`, unit: 'µs', runs: handler },
    { bench, figure: `${operation}: bare proxy`, unit: 'µs', runs: proxy },
    { bench, figure: `${operation}: broker to bare handler`, unit: 'ratio', runs: ratio(handler), target: { atMost: 1.3 } },
    { bench, figure: `${operation}: broker to bare function`, unit: 'ratio', runs: ratio(bareFunction) },
    { bench, figure: `${operation}: broker to bare proxy`, unit: 'ratio', runs: ratio(proxy) },
    { bench, figure: `${operation}: one core carries`, unit: 'a second', runs: [1e6 / median(broker)] },
  ];
}

async function startSubjects(rig: Rig): Promise<Subject[]> {
  const { environment } = rig;
  const [broker] = environment.brokers.list();
  if (!broker) throw new Error('no broker runs');
  const databases = await unthrottledFleet(rig);
  const handler = await rig.child('bare-handler.ts');
  const handlerUrl = await handler.do<string>({});
  const bareFunction = await rig.app('bare-function.ts');
  const proxy = await rig.child('bare-proxy.ts');
  const proxyUrl = await proxy.do<string>({});
  const vaultToken = await managedIdentityToken(rig);
  const shots = (make: (database: Database, operation: Operation) => Shot): Subject['shots'] => ({
    wrap: databases.map((database) => make(database, 'wrap')),
    unwrap: databases.map((database) => make(database, 'unwrap')),
  });
  const bareShots = (url: string): Subject['shots'] =>
    shots((database, operation) => shot(`${url}/${operation}`, vaultToken, { keyId: database.keyId, value: valueOf(database, operation) }));
  return [
    {
      name: 'broker',
      pid: broker.pid,
      shots: shots((database, operation) => (operation === 'wrap' ? wrapShot : unwrapShot)(broker.url, database)),
    },
    { name: 'function', pid: bareFunction.pid, shots: bareShots(bareFunction.url) },
    { name: 'handler', pid: handler.pid, shots: bareShots(handlerUrl) },
    {
      name: 'proxy',
      pid: proxy.pid,
      shots: shots((database, operation) => {
        const { host, pathname } = new URL(database.keyId);
        const path = `/${host}${pathname}/${operation}key?api-version=7.6`;
        return shot(proxyUrl + path, vaultToken, { alg: 'RSA-OAEP-256', value: valueOf(database, operation) });
      }),
    },
  ];
}

function valueOf({ dek, wrappedDek }: Database, operation: Operation): string {
  return operation === 'wrap' ? dek : wrappedDek;
}

async function managedIdentityToken({ environment }: Rig): Promise<string> {
  const { url, header } = environment.identity;
  const query = new URLSearchParams({ 'api-version': '2019-08-01', resource: 'https://managedhsm.localhost' });
  const response = await fetch(`${url}?${query.toString()}`, { headers: { 'x-identity-header': header } });
  return ((await response.json()) as { access_token: string }).access_token;
}
