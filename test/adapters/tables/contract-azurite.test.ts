import { openStore } from '../../../src/adapters/tables/store.ts';
import { millis } from '../../../src/domain/time.ts';
import { useAzurite } from '../../support/azurite.ts';
import { describeTableAdapters } from '../../support/store-rigs.ts';

const azurite = useAzurite();

describeTableAdapters(
  'Azurite',
  async () => {
    const way = await azurite.openWay();
    const tablePrefix = azurite.prefix();
    return {
      open: () => openStore({ connectionString: way.connectionString }, { tablePrefix, timeoutMs: millis(10_000) }),
      setAway: (away) => {
        way.way = away ? 'refuse' : 'pass';
      },
    };
  },
  5,
);
