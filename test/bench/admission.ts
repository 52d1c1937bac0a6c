import { systemClock } from '../../src/adapters/clock.ts';
import { createAdmission } from '../../src/broker/admission.ts';
import { documentedLimits } from '../../src/domain/service-limits.ts';
import { millis } from '../../src/domain/time.ts';
import type { RateRules } from '../../src/policy/rate.ts';
import { shapeAt } from '../../src/policy/rate.ts';
import type { AdmissionRequest } from '../../src/ports/admission.ts';
import { createMemoryBudgetLedger } from '../support/memory-budget-ledger.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import type { Bench } from './bench.ts';
import { count } from './fleet.ts';

/** So many points that no call waits; all else as by default. */
const rules: RateRules = {
  points: 1_000_000_000,
  windowMs: millis(10_000),
  serviceLimits: documentedLimits,
  serviceShare: 0.8,
  probeShare: 0.05,
  leaseMs: millis(1000),
  attemptMs: millis(2000),
  clockSkewMs: millis(2000),
  awayShare: 0.1,
};

const servers = 500;
/** Calls between two turns of the event loop, in which leases are drawn. */
const burst = 100;

/** CPU of one admission where nothing stands in its way: leases and their bookkeeping included, the store's latency not. */
export const admission: Bench = async ({ seconds, runs }) => {
  const ledger = createMemoryBudgetLedger(createMemoryStore());
  const { admit, ended } = createAdmission({ ledger, clock: systemClock, rules, queueLength: 10_000, onTight: () => Promise.resolve() });
  const requests = count(servers).map((number): AdmissionRequest => ({
    vault: 'kv-west',
    server: `sql-${number}`,
    key: shapeAt('managedHsm', { keyType: 'RSA-HSM', keySize: 2048 }),
    class: number % 4 === 0 ? 'wrap' : 'unwrap',
    tier: number % 3 === 0 ? 'BusinessCritical' : 'GeneralPurpose',
    points: number % 3 === 0 ? 5 : 2,
    within: millis(10_000),
  }));
  let waited = 0;
  const calls = Math.round(seconds * 100_000);
  const once = async (): Promise<number> => {
    const before = process.cpuUsage();
    for (let call = 0; call < calls; call += 1) {
      const request = requests[call % servers];
      if (request === undefined) continue;
      const verdict = admit(request);
      if (verdict !== undefined) {
        waited += 1;
        await verdict;
      }
      ended(request);
      if (call % burst === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / calls;
  };
  await once();
  waited = 0;
  const costs: number[] = [];
  for (const run of count(runs)) costs[run] = await once();
  const bench = 'admission';
  return [
    { bench, figure: 'CPU a call', unit: 'µs', runs: costs, target: { atMost: 3 } },
    { bench, figure: 'calls that had to wait', unit: '%', runs: [(waited * 100) / (calls * runs)] },
  ];
};
