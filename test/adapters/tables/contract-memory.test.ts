import { createMemoryTables, type MemoryTables } from '../../support/memory-tables.ts';
import { describeTableAdapters } from '../../support/store-rigs.ts';

// Small pages, so that what takes several reads of the service does so here with few rows.
describeTableAdapters(
  'tables in memory',
  async () => {
    const tables = createMemoryTables(50);
    const opened: MemoryTables[] = [];
    return Promise.resolve({
      open: () => {
        const store = tables.open();
        opened.push(store);
        return store;
      },
      setAway: (away) => {
        for (const store of opened) store.away = away;
      },
    });
  },
  200,
);
