import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryAssociationLedger } from '../support/memory-association-ledger.ts';
import { createMemoryAuditStore } from '../support/memory-audit-store.ts';
import { createMemoryBudgetLedger } from '../support/memory-budget-ledger.ts';
import { createMemoryDeliveries } from '../support/memory-deliveries.ts';
import { createMemoryEventLog } from '../support/memory-event-log.ts';
import { createMemoryHistory } from '../support/memory-history.ts';
import { createMemoryInstances } from '../support/memory-instances.ts';
import { createMemoryOperationLog } from '../support/memory-operation-log.ts';
import { createMemoryRegistry } from '../support/memory-registry.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { budgetRows, collectingLog } from '../support/store-rigs.ts';
import { morning } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { describeAccessLog } from './access-log.ts';
import { describeAssociationLedger } from './association-ledger.ts';
import { describeAuditStore } from './audit-store.ts';
import { describeBudgetLedger } from './budget-ledger.ts';
import { describeDeliveries } from './deliveries.ts';
import { describeEventLog } from './event-log.ts';
import { describeHistory } from './history.ts';
import { describeInstances } from './instances.ts';
import { describeOperationLog } from './operation-log.ts';
import { describeRegistry } from './registry.ts';

const name = 'in memory';

describeRegistry(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve({
    setAway: (away) => void (store.away = away),
    open: () => ({ registry: createMemoryRegistry(store), events: createMemoryEventLog(store) }),
  });
});

describeAssociationLedger(
  name,
  async () => {
    const store = createMemoryStore();
    const clock = virtualClock(morning);
    return Promise.resolve({ clock, open: () => createMemoryAssociationLedger(store, clock) });
  },
  300,
);

describeAccessLog(name, async () => {
  const store = createMemoryStore();
  const clock = virtualClock(morning);
  return Promise.resolve({
    setAway: (away) => void (store.away = away),
    open: () => ({ access: createMemoryAccessLog(store, clock), events: createMemoryEventLog(store) }),
  });
});

describeEventLog(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve(() => createMemoryEventLog(store));
});

describeOperationLog(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve({
    clock: virtualClock(morning),
    setAway: (away) => void (store.away = away),
    open: (instance, queueLength) => {
      const { log, ...rest } = collectingLog();
      return { ...rest, log: createMemoryOperationLog(store, { instance, queueLength, log }) };
    },
  });
});

describeAuditStore(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve({
    setAway: (away) => void (store.away = away),
    open: () => ({ audits: createMemoryAuditStore(store), events: createMemoryEventLog(store) }),
  });
});

describeHistory(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve({ setAway: (away) => void (store.away = away), open: () => createMemoryHistory(store) });
});

describeInstances(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve(() => createMemoryInstances(store));
});

describeBudgetLedger(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve({ open: () => createMemoryBudgetLedger(store), rows: budgetRows, clock: virtualClock() });
});

describeDeliveries(name, async () => {
  const store = createMemoryStore();
  return Promise.resolve({ setAway: (away) => void (store.away = away), open: () => createMemoryDeliveries(store) });
});
