import { expect, test, vi } from 'vitest';
import type { BrokerOptions, BrokerProcess } from './broker-process.ts';
import { createBrokers } from './brokers.ts';
import type { EnvironmentClock } from './clock.ts';
import type { Storage } from './storage.ts';

/** Processes that run; `end` ends one. The clock of those that start next cannot be set. */
const { running, broken } = vi.hoisted(() => ({ running: new Map<number, () => void>(), broken: { clock: false } }));

vi.mock('./broker-process.ts', () => ({
  startBroker({ port }: BrokerOptions): Promise<BrokerProcess> {
    if (running.has(port)) return Promise.reject(new Error(`port ${port} is taken`));
    const ended = new Promise<void>((resolve) => {
      running.set(port, () => {
        running.delete(port);
        resolve();
      });
    });
    const end = (): Promise<void> => {
      running.get(port)?.();
      return ended;
    };
    const setClock = (): Promise<void> => (broken.clock ? Promise.reject(new Error('the clock cannot be set')) : Promise.resolve());
    return Promise.resolve({ url: `http://127.0.0.1:${port}`, pid: port, ended, setClock, kill: end, stop: end });
  },
}));
vi.mock('./table-proxy.ts', () => ({
  startTableProxy: () => ({ port: 1, requests: () => ({}), setFault: () => Promise.resolve(), close: () => Promise.resolve() }),
}));

function brokers() {
  return createBrokers({
    directory: '.',
    firstPort: 7071,
    storage: { ports: { table: 1 }, connectionString: () => '' } as unknown as Storage,
    clock: { offsetMs: () => 0 } as EnvironmentClock,
    env: {},
    onLine: () => undefined,
  });
}

test('an instance that fails after its process has started leaves neither the process nor its number behind', async () => {
  const subject = brokers();
  broken.clock = true;
  await expect(subject.start()).rejects.toThrow('the clock cannot be set');
  broken.clock = false;
  expect(running.size).toBe(0);
  expect(subject.list()).toEqual([]);
  expect((await subject.start()).instance).toBe(0);
  expect(subject.list().map(({ instance }) => instance)).toEqual([0]);
  await subject.stop();
});

test('a process that ends by itself frees its number for the next', async () => {
  const subject = brokers();
  const [, second] = [await subject.start(), await subject.start()];
  running.get(7071)?.();
  expect(second.instance).toBe(1);
  await vi.waitFor(() => expect(subject.list()).toHaveLength(1));
  expect((await subject.start()).instance).toBe(0);
  await subject.stop();
});
