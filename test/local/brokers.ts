import { randomBytes } from 'node:crypto';
import { startBroker } from './broker-process.ts';
import type { BrokerProcess } from './broker-process.ts';
import type { EnvironmentClock } from './clock.ts';
import type { Storage } from './storage.ts';
import { startTableProxy } from './table-proxy.ts';
import type { TableFault, TableProxy } from './table-proxy.ts';

/** A running broker instance; `instance` is its number, from 0: at its start the lowest that no other had. */
export interface Broker extends BrokerProcess {
  readonly instance: number;
  /** Its requests to the tables, as {@link TableProxy.requests} counts them. */
  tableRequests(): Readonly<Record<string, number>>;
}

/** The broker instances, each with its own road to the tables. */
export interface Brokers {
  /** Those that run, in the order of their numbers. */
  list(): readonly Broker[];
  /** @param settings environment variables of this instance alone; they override all others. */
  start(settings?: Readonly<Record<string, string>>): Promise<Broker>;
  /** As `kill -9`; false if no such instance runs. */
  kill(instance: number): Promise<boolean>;
  /** Makes the tables fail for one instance, or for all, also those to come; undefined heals. False if no such instance runs. */
  setTableFault(fault: TableFault | undefined, instance?: number): Promise<boolean>;
  setClock(offsetMs: number): Promise<void>;
  stop(): Promise<void>;
}

interface BrokersOptions {
  readonly directory: string;
  /** Port of the first instance, the next ones follow; 0: any free ones. */
  readonly firstPort: number;
  readonly storage: Storage;
  readonly clock: EnvironmentClock;
  /** Environment variables that all instances share. */
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
}

interface Member {
  readonly broker: Broker;
  readonly proxy: TableProxy;
}

export function createBrokers(options: BrokersOptions): Brokers {
  const { storage, clock, onLine } = options;
  const members = new Map<number, Member>();
  /** Of the instances that run or start. */
  const numbers = new Set<number>();
  let faultOfAll: TableFault | undefined;

  async function start(settings: Readonly<Record<string, string>> = {}): Promise<Broker> {
    const instance = takeLowest(numbers);
    const proxy = await startTableProxy(storage.ports.table);
    let started: BrokerProcess | undefined;
    try {
      await proxy.setFault(faultOfAll);
      const env = { ...instanceEnvironment(storage, proxy, clock), ...options.env, ...settings };
      const port = options.firstPort === 0 ? 0 : options.firstPort + instance;
      const process = await startBroker({
        directory: options.directory,
        port,
        env,
        onLine: (line) => onLine(`broker ${String(instance)}: ${line}`),
      });
      started = process;
      const broker = { ...process, instance, tableRequests: proxy.requests };
      members.set(instance, { broker, proxy });
      void process.ended.then(async () => {
        members.delete(instance);
        numbers.delete(instance);
        onLine(`broker ${String(instance)}: the process has ended`);
        await proxy.close();
      });
      // The clock may have been moved while the process started.
      await broker.setClock(clock.offsetMs());
      return broker;
    } catch (error) {
      // Only the end of a process frees its number, and with it its port.
      if (started !== undefined) await started.kill();
      else {
        numbers.delete(instance);
        await proxy.close();
      }
      throw error;
    }
  }

  const running = (): readonly Member[] => [...members.values()].sort((a, b) => a.broker.instance - b.broker.instance);
  return {
    list: () => running().map(({ broker }) => broker),
    start,
    async kill(instance) {
      const member = members.get(instance);
      await member?.broker.kill();
      return member !== undefined;
    },
    async setTableFault(fault, instance) {
      if (instance === undefined) faultOfAll = fault;
      const concerned = running().filter(({ broker }) => instance === undefined || broker.instance === instance);
      await Promise.all(concerned.map(({ proxy }) => proxy.setFault(fault)));
      return instance === undefined || concerned.length > 0;
    },
    async setClock(offsetMs) {
      await Promise.all(running().map(({ broker }) => broker.setClock(offsetMs)));
    },
    async stop() {
      await Promise.all(running().map(({ broker }) => broker.stop()));
    },
  };
}

/** So that an instance that is started in the stead of a killed one listens where clients look for that. */
function takeLowest(numbers: Set<number>): number {
  let lowest = 0;
  while (numbers.has(lowest)) lowest += 1;
  numbers.add(lowest);
  return lowest;
}

/** What Azure and the environment tell one instance. */
function instanceEnvironment(storage: Storage, proxy: TableProxy, clock: EnvironmentClock): Record<string, string> {
  return {
    FUNCTIONS_WORKER_RUNTIME: 'node',
    FUNCTIONS_EXTENSION_VERSION: '~4',
    AzureWebJobsStorage: storage.connectionString(),
    WEBSITE_SITE_NAME: 'key-operations-broker',
    WEBSITE_INSTANCE_ID: randomBytes(32).toString('hex'),
    LOCAL_CLOCK_OFFSET_MS: String(clock.offsetMs()),
    KEYBROKER_STORE_CONNECTION_STRING: storage.connectionString(proxy.port),
  };
}
