import type { Bench } from './bench.ts';
import { callerToken } from '../local/callers.ts';
import { median, quantile } from './figures.ts';
import type { Figure } from './figures.ts';
import { addVault, count, createKey, eachOf, registered, unwrapShot } from './fleet.ts';
import type { Database } from './fleet.ts';
import { residentMiB } from './process-cost.ts';
import { firstBroker, pause, profiling, startRig } from './rig.ts';
import type { Rig } from './rig.ts';
import { copyAccess, copyServer } from './seed-tables.ts';

/** B1: a vault takes 500 GP databases, so that 10,000 servers of one each are spread over 20 vaults. */
const vaults = 20;
const serversAVault = 500;
const servers = vaults * serversAVault;

/** Points of B2: GET, wrap and unwrap of a protector, 2 each. No server has a standby, which is the one finding of each. */
const pointsAServer = 6;
const window = { ms: 10_000, points: 1000, auditPace: 0.2 };

/** Unwraps beside the audit, over all vaults: more than 500 databases ask for in a quiet hour, and little of the budget. */
const unwrapsPerS = 40;

const mostTries = 10;

/** The watch of a broker that has just begun reads all servers: it has done so when it reads none for so long, more than lies between two passes. */
const quietMs = 20_000;

interface AuditBody {
  readonly slot: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly servers: number;
  readonly findings: { readonly items: readonly { readonly server: string }[]; readonly next: string | null };
}

/** What one audit came to, with the load before it and beside it. */
interface Trial {
  readonly slot: string;
  readonly tookMs: number;
  readonly idleMiB: number;
  readonly peakMiB: number;
  readonly p99Before: number;
  readonly p99Beside: number;
}

/** A permission audit of 10,000 servers under the default budgets: memory, the traffic beside it, its time, and its report page by page. */
export const audit: Bench = async ({ seconds, profile, note }) => {
  note('audit: the vaults are Managed HSMs, which do not throttle; most servers are written straight into the tables');
  const rig = await startRig(profiling(profile));
  try {
    const databases = await populate(rig);
    note(`audit: ${databases.length} servers are in the tables`);
    await serversRead(rig);
    const load = createLoad(rig, databases, seconds * 2);
    await load.p99();
    const trials: Trial[] = [];
    for (const trial of count(2)) {
      trials.push(await tryAudit(rig, load, note));
      note(`audit: number ${trial + 1} took ${(trials[trial]?.tookMs ?? 0) / 1000} s`);
    }
    const reported = await readReport(rig, trials[0]?.slot ?? '');
    return figuresOf(trials, reported);
  } finally {
    await rig.stop();
  }
};

async function populate(rig: Rig): Promise<Database[]> {
  const templates = await registered(rig, (registrar) =>
    eachOf(count(vaults), 2, async (number): Promise<Database> => {
      const hsm = await addVault(rig.environment, vaultNamed(number), 'managedHsm');
      await registrar.vault(hsm);
      const key = await createKey({ size: 2048, hsm: true }, hsm);
      const [template] = await registrar.servers({ prefix: `sql-${number}`, servers: 1, databases: 1, tier: 'GeneralPurpose', key });
      if (template === undefined) throw new Error('no database was registered');
      return template;
    }),
  );
  const copies = await eachOf(templates, 1, (template) => copyServer(rig.environment, template, serversAVault - 1));
  for (const [number, template] of templates.entries())
    await copyAccess(rig.environment, template, vaultNamed(number), copies[number] ?? []);
  return templates.map((template, vault) => [template, ...(copies[vault] ?? [])]).flat();
}

function vaultNamed(number: number): string {
  return `hsm-${number}`;
}

/** Resolves when the broker holds the registry in memory, as one does that has run for a while. */
async function serversRead(rig: Rig): Promise<void> {
  const reads = (): number => firstBroker(rig).tableRequests()['GET keybrokerservers'] ?? 0;
  for (let before = -1, now = reads(); now !== before; now = reads()) {
    before = now;
    await pause(quietMs);
  }
}

/** A steady trickle of unwraps over all vaults. */
function createLoad(rig: Rig, databases: readonly Database[], seconds: number): { p99(): Promise<number> } {
  const { url } = firstBroker(rig);
  const asked = count(10).flatMap((nth) => databases.filter((_database, index) => index % serversAVault === nth));
  const shots = asked.map((database) => unwrapShot(url, database));
  return {
    async p99() {
      const calls = Math.round(seconds * unwrapsPerS);
      const { status, latencyMs, firstProblem } = await rig.http({ shots, pace: { pace: 'open', count: calls, ratePerS: unwrapsPerS } });
      if (status.some((one) => one !== 200)) throw new Error(`audit: an unwrap failed: ${firstProblem ?? ''}`);
      return quantile(latencyMs, 0.99);
    },
  };
}

/** The load alone, and then beside an audit, in runs of the same length until that ends. */
async function tryAudit(rig: Rig, load: { p99(): Promise<number> }, note: (line: string) => void): Promise<Trial> {
  const { pid } = firstBroker(rig);
  const before = [await load.p99(), await load.p99(), await load.p99()];
  const idleMiB = residentMiB(pid);
  const { slot } = await ask<AuditBody>(rig, 'POST', 'audits');
  let peakMiB = idleMiB;
  const watch = setInterval(() => (peakMiB = Math.max(peakMiB, residentMiB(pid))), 100);
  const beside: number[] = [];
  try {
    for (;;) {
      const p99 = await load.p99();
      const { startedAt, finishedAt, servers: reported } = await ask<AuditBody>(rig, 'GET', `audits/${slot}?limit=1`);
      note(`audit: ${reported} servers are reported on`);
      // The last run lies beside the audit in part only, and counts only where there is no other.
      if (finishedAt === null || beside.length === 0) beside.push(p99);
      if (finishedAt === null) continue;
      const tookMs = Date.parse(finishedAt) - Date.parse(startedAt);
      return { slot, tookMs, idleMiB, peakMiB, p99Before: median(before), p99Beside: median(beside) };
    }
  } finally {
    clearInterval(watch);
    await pause(window.ms);
  }
}

/** Names of the servers in all pages of the report, a finding each. */
async function readReport(rig: Rig, slot: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (let after = ''; ;) {
    const { findings } = await ask<AuditBody>(rig, 'GET', `audits/${slot}?limit=1000${after}`);
    names.push(...findings.items.map(({ server }) => server));
    if (findings.next === null) return names;
    after = `&after=${encodeURIComponent(findings.next)}`;
  }
}

/** As an operator; comes back while the store of a busy machine does not answer in time. */
async function ask<T>(rig: Rig, method: string, path: string): Promise<T> {
  const token = callerToken(rig.environment.issuer, { roles: ['KeyBroker.Operator'] });
  for (let tries = 0; ; tries += 1) {
    const response = await fetch(`${firstBroker(rig).url}/v1/${path}`, { method, headers: { authorization: `Bearer ${token}` } });
    if (response.ok) return (await response.json()) as T;
    const answer = `${response.status} ${await response.text()}`;
    if (response.status !== 503 || tries === mostTries) throw new Error(`${method} ${path}: ${answer}`);
    await pause(1000);
  }
}

/** The least time for the calls at one vault: they begin at the pace that the audit keeps, since the load leaves more than that. */
function allowedMs(): number {
  return (serversAVault * pointsAServer * window.ms) / (window.points * window.auditPace);
}

function figuresOf(trials: readonly Trial[], reported: readonly string[]): readonly Figure[] {
  const bench = 'audit';
  // In the first one V8 lets the young generation grow to its full size (128 MiB in two halves), and keeps it: what lives is no more than before.
  const [first, later] = [trials.slice(0, 1), trials.slice(1)];
  const above = (some: readonly Trial[]): number[] => some.map(({ idleMiB, peakMiB }) => peakMiB - idleMiB);
  return [
    { bench, figure: 'memory when idle', unit: 'MiB', runs: later.map(({ idleMiB }) => idleMiB) },
    { bench, figure: 'memory above idle at most', unit: 'MiB', runs: above(later), target: { atMost: 64 } },
    { bench, figure: 'the same in the first audit after a start', unit: 'MiB', runs: above(first) },
    { bench, figure: 'p99 of unwraps without', unit: 'ms', runs: trials.map(({ p99Before }) => p99Before) },
    { bench, figure: 'p99 of unwraps beside', unit: 'ms', runs: trials.map(({ p99Beside }) => p99Beside) },
    {
      bench,
      figure: 'p99 beside to without',
      unit: 'ratio',
      runs: trials.map(({ p99Before, p99Beside }) => p99Beside / p99Before),
      target: { atMost: 1.2 },
    },
    { bench, figure: 'time', unit: 's', runs: trials.map(({ tookMs }) => tookMs / 1000) },
    { bench, figure: 'time to what the budget allows', unit: 'ratio', runs: trials.map(({ tookMs }) => tookMs / allowedMs()) },
    { bench, figure: 'servers in the report', unit: '', runs: [reported.length], target: { exactly: servers } },
    { bench, figure: 'servers in it twice', unit: '', runs: [reported.length - new Set(reported).size], target: { exactly: 0 } },
  ];
}
