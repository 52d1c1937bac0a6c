import { createAccessLog } from '../../src/adapters/tables/access-log.ts';
import { createAssociationLedger } from '../../src/adapters/tables/association-ledger.ts';
import { createAuditStore } from '../../src/adapters/tables/audit-store.ts';
import { createBudgetLedger } from '../../src/adapters/tables/budget-ledger.ts';
import { createDeliveries } from '../../src/adapters/tables/deliveries.ts';
import { createEventLog } from '../../src/adapters/tables/event-log.ts';
import { createHistory } from '../../src/adapters/tables/history.ts';
import { createInstances } from '../../src/adapters/tables/instances.ts';
import { createOperationLog } from '../../src/adapters/tables/operation-log.ts';
import { createRegistry } from '../../src/adapters/tables/registry.ts';
import type { Store } from '../../src/adapters/tables/table.ts';
import type { BudgetRow } from '../../src/domain/budget.ts';
import type { NumberedRecord } from '../../src/domain/operation.ts';
import { instant, millis } from '../../src/domain/time.ts';
import { describeAccessLog } from '../contract/access-log.ts';
import { describeAssociationLedger, pointsOf } from '../contract/association-ledger.ts';
import { describeAuditStore } from '../contract/audit-store.ts';
import { describeBudgetLedger } from '../contract/budget-ledger.ts';
import { describeDeliveries } from '../contract/deliveries.ts';
import { describeEventLog } from '../contract/event-log.ts';
import { describeHistory } from '../contract/history.ts';
import { describeInstances } from '../contract/instances.ts';
import { describeOperationLog } from '../contract/operation-log.ts';
import { describeRegistry } from '../contract/registry.ts';
import { morning } from './stored-values.ts';
import { virtualClock } from './virtual-clock.ts';

/** Tables for one test: every `open` is another instance's way to the same rows. */
export interface TablesRig {
  open(): Store;
  setAway(away: boolean): void | Promise<void>;
}

/** Two rows that differ. To the ledger a row is one value: what is in it is of no matter here. */
export const budgetRows: readonly [BudgetRow, BudgetRow] = [
  { holdings: [], slowdown: { step: 0, factor: 0.5, at: instant(morning), ageMs: millis(0) } },
  { holdings: [], slowdown: { step: 1, factor: 0.25, at: instant(morning), ageMs: millis(12) } },
];

/** A log whose lines a test collects, and may break. */
export function collectingLog(): {
  readonly spilled: NumberedRecord[];
  readonly log: (record: NumberedRecord) => boolean;
  breakLog(): void;
} {
  const spilled: NumberedRecord[] = [];
  let broken = false;
  return {
    spilled,
    log: (record) => {
      if (!broken) spilled.push(record);
      return !broken;
    },
    breakLog: () => {
      broken = true;
    },
  };
}

/** Runs all contract suites on the table adapters. */
export function describeTableAdapters(name: string, factory: () => Promise<TablesRig>, runs: number): void {
  describeRegistry(name, async () => {
    const rig = await factory();
    const clock = virtualClock(morning);
    return {
      setAway: (away) => rig.setAway(away),
      open: () => {
        const store = rig.open();
        const events = createEventLog(store, clock);
        return { registry: createRegistry(store, { clock, outbox: events.outbox }), events };
      },
    };
  });

  describeAssociationLedger(
    name,
    async () => {
      const rig = await factory();
      const clock = virtualClock(morning);
      return { clock, open: () => createAssociationLedger(rig.open(), clock, pointsOf) };
    },
    runs,
  );

  describeAccessLog(name, async () => {
    const rig = await factory();
    const clock = virtualClock(morning);
    return {
      setAway: (away) => rig.setAway(away),
      open: () => {
        const store = rig.open();
        const events = createEventLog(store, clock);
        return { access: createAccessLog(store, clock, events.outbox), events };
      },
    };
  });

  describeEventLog(name, async () => {
    const rig = await factory();
    return () => createEventLog(rig.open(), virtualClock(morning));
  });

  describeOperationLog(name, async () => {
    const rig = await factory();
    const clock = virtualClock(morning);
    return {
      clock,
      setAway: (away) => rig.setAway(away),
      open: (instance, queueLength) => {
        const { log, ...rest } = collectingLog();
        return { ...rest, log: createOperationLog(rig.open(), { clock, instance, queueLength, log }) };
      },
    };
  });

  describeAuditStore(name, async () => {
    const rig = await factory();
    const clock = virtualClock(morning);
    return {
      setAway: (away) => rig.setAway(away),
      open: () => {
        const store = rig.open();
        const events = createEventLog(store, clock);
        return { audits: createAuditStore(store, events.outbox), events };
      },
    };
  });

  describeDeliveries(name, async () => {
    const rig = await factory();
    return { setAway: (away) => rig.setAway(away), open: () => createDeliveries(rig.open()) };
  });

  describeHistory(name, async () => {
    const rig = await factory();
    return { setAway: (away) => rig.setAway(away), open: () => createHistory(rig.open()) };
  });

  describeInstances(name, async () => {
    const rig = await factory();
    return () => createInstances(rig.open());
  });

  describeBudgetLedger(name, async () => {
    const rig = await factory();
    const clock = virtualClock(morning);
    return { open: () => createBudgetLedger(rig.open(), clock), rows: budgetRows, clock };
  });
}
