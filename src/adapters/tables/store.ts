import { TableClient, type TableServiceClientOptions } from '@azure/data-tables';
import type { TokenCredential } from '@azure/identity';
import { seconds, type Millis } from '../../domain/time.ts';
import { createAzureTable, type AzureTable } from './azure-table.ts';
import { tableNames, type Store, type TableName } from './table.ts';

/** Where the tables are: a connection string (Azurite), or the account's table endpoint and who asks. */
export type StoreAddress = { readonly connectionString: string } | { readonly endpoint: string; readonly credential: TokenCredential };

export interface StoreOptions {
  /** Time limit of each call; default 2 s. */
  readonly timeoutMs?: Millis;
  /** What the tables' names begin with: letters and digits, a letter first; default `keybroker`. */
  readonly tablePrefix?: string;
}

/** Opens the store. Nothing is called until a table is used. */
export function openStore(address: StoreAddress, { timeoutMs = seconds(2), tablePrefix = 'keybroker' }: StoreOptions = {}): Store {
  const tables = new Map<TableName, AzureTable>();

  function open(name: TableName): AzureTable {
    const known = tables.get(name);
    if (known !== undefined) return known;
    const opened = createAzureTable(createClient(address, `${tablePrefix}${name}`), timeoutMs);
    tables.set(name, opened);
    return opened;
  }

  return {
    table: open,
    async createTables() {
      await Promise.all(tableNames.map((name) => open(name).create()));
    },
    async ping() {
      await open('registry').get({ partition: 'ping', row: 'ping' });
    },
  };
}

function createClient(address: StoreAddress, name: string): TableClient {
  const options: TableServiceClientOptions = { retryOptions: { maxRetries: 0 } };
  if ('endpoint' in address) return new TableClient(address.endpoint, name, address.credential, options);
  const insecure = /(^|;)\s*TableEndpoint=http:/i.test(address.connectionString);
  return TableClient.fromConnectionString(address.connectionString, name, { ...options, allowInsecureConnection: insecure });
}
