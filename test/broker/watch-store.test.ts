import { expect, test } from 'vitest';
import { StoreAway } from '../../src/ports/store.ts';
import { noon } from '../support/builders.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import type { MemoryStore } from '../support/memory-store.ts';
import { createMemoryRegistry } from '../support/memory-registry.ts';
import { aRef, aServer, aVault, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import { startWatch, watchedLink } from '../support/watch-rig.ts';

test('an instance that has just begun reads the servers of all vaults at most eight at a time', async () => {
  const reads = { underWay: 0, most: 0, all: 0 };
  const plain = createMemoryStore();
  const store: MemoryStore = {
    ...plain,
    async read(key, absent) {
      reads.underWay += 1;
      reads.all += 1;
      reads.most = Math.max(reads.most, reads.underWay);
      for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
      return plain.read(key, absent).finally(() => (reads.underWay -= 1));
    },
  };
  const rig = await startWatch(virtualClock(noon), store);
  for (const vault of ['kv-west', 'kv-north']) {
    for (let n = 0; n < 30; n += 1) {
      const server = `${vault}-${n}`;
      const link = watchedLink({ keyId: keyId(vault), vault });
      await rig.register({ server: aServer(server), links: [link], databases: new Map(), incarnation: 'one', revision: 0 });
      await rig.put({
        ref: aRef({ server, vault, keyId: keyId(vault) }),
        latch: null,
        denials: {},
        provenAt: noon,
        doubtedAt: null,
        refused: {},
        revision: 1,
      });
    }
  }
  const begun = await rig.another();
  Object.assign(reads, { underWay: 0, most: 0, all: 0 });
  await begun.watch();
  expect(reads.all).toBeGreaterThanOrEqual(60);
  expect(reads.most).toBeLessThanOrEqual(8);
});

test('a pass reads the pictures of all vaults two at a time; one that cannot be read keeps no other from its turn', async () => {
  const reads = { underWay: 0, most: 0, vaults: new Set<string>() };
  const plain = createMemoryStore();
  const store: MemoryStore = {
    ...plain,
    async list(prefix) {
      if (!prefix.startsWith('access/')) return plain.list(prefix);
      reads.vaults.add(prefix);
      reads.underWay += 1;
      reads.most = Math.max(reads.most, reads.underWay);
      for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
      reads.underWay -= 1;
      if (prefix === 'access/kv-north/') throw new StoreAway('the partition is away');
      return plain.list(prefix);
    },
  };
  const registry = createMemoryRegistry(store);
  for (let n = 0; n < 10; n += 1) await registry.addVault(aVault(`kv-${n}`));
  const rig = await startWatch(virtualClock(noon), store);
  await rig.watch();
  expect(reads.vaults.size).toBe(12);
  expect(reads.most).toBe(2);
});
