import { describe, expect, test } from 'vitest';
import { createAccess } from '../../src/broker/access.ts';
import type { Parts } from '../../src/broker/parts.ts';
import type { VaultHealth } from '../../src/domain/access.ts';
import { instant, millis } from '../../src/domain/time.ts';
import type { Instant } from '../../src/domain/time.ts';
import type { AccessLog } from '../../src/ports/access-log.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aDenial, denialRules, gateRules, hour, minute, second } from '../support/builders.ts';
import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { aRef } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const ref = aRef();

/** Two instances on one store; the first's reads and tries to write are counted, and its writes can be cut off. */
function twoInstances() {
  const clock = virtualClock();
  const store = createMemoryStore();
  const cut = { writes: false };
  const reads: string[] = [];
  const tries = { links: 0, vaults: 0 };
  const log = createMemoryAccessLog(store, clock);
  const rules = { pictureMaxAgeMs: millis(1000), denial: denialRules, gate: gateRules } as Parts['rules'];
  const accessLog: AccessLog = {
    ...log,
    read(vault) {
      reads.push(vault);
      return log.read(vault);
    },
    changeLink(...change) {
      tries.links += 1;
      return cut.writes ? Promise.reject(new StoreAway('cut off')) : log.changeLink(...change);
    },
    changeVault(...change) {
      tries.vaults += 1;
      return cut.writes ? Promise.reject(new StoreAway('cut off')) : log.changeVault(...change);
    },
  };
  const first = createAccess({ accessLog, clock, rules, log: () => undefined });
  const second = createAccess({ accessLog: log, clock, rules, log: () => undefined });
  const stored = async () => (await log.read(ref.vault)).links[0];
  return { clock, cut, reads, tries, first, second, stored };
}

/** As a link is when it has been linked. */
async function proveAndStore(access: ReturnType<typeof createAccess>, link: typeof ref, sentAt: Instant): Promise<void> {
  await access.proven(link, { sentAt, known: null });
  await access.storeProof(link);
}

test('F4, F6: a denial that was kept for hours makes no newer suspect older when it is stored at last', async () => {
  const { clock, cut, first, second: other, stored } = twoInstances();
  cut.writes = true;
  await expect(first.denied(ref, aDenial({ receivedAt: clock.now() }))).rejects.toBeInstanceOf(StoreAway);
  await clock.advance(8 * hour);
  const firstDenialAt = clock.now();
  await other.denied(ref, aDenial({ id: 'denial-2', receivedAt: firstDenialAt }));
  cut.writes = false;
  await clock.advance(2 * second);
  expect((await stored())?.latch).toMatchObject({ status: 'suspected', firstDenialAt, newestDenialAt: firstDenialAt, witnesses: 2 });
});

test("F4: what an instance cannot store hides no other's denial from it", async () => {
  const { clock, cut, first, second: other } = twoInstances();
  cut.writes = true;
  const refusal = { since: clock.now(), finding: 'KeyExpired' } as const;
  await expect(first.refused(ref, { operation: 'wrapKey', ...refusal })).rejects.toBeInstanceOf(StoreAway);
  expect(first.known(ref)).toMatchObject({ latch: null, refused: { wrapKey: refusal } });
  await other.denied(ref, aDenial({ receivedAt: clock.now() }));
  await clock.advance(1001);
  const { links } = await first.picture(ref.vault);
  expect(links).toMatchObject([
    { latch: { generation: expect.stringMatching(/^denial-1~\d+$/) as unknown }, refused: { wrapKey: refusal } },
  ]);
  expect(first.known(ref)).toEqual(links[0]);
});

test('F4: a late answer to a wrap that was sent before its refusal does not end the refusal', async () => {
  const { clock, first, stored } = twoInstances();
  const sentAt = clock.now();
  await clock.advance(minute);
  await first.refused(ref, { operation: 'wrapKey', since: clock.now(), finding: 'WrapDenied' });
  first.allowed(ref, 'wrapKey', sentAt);
  await clock.advance(1);
  expect((await stored())?.refused.wrapKey).toBeDefined();
  first.allowed(ref, 'wrapKey', clock.now());
  await clock.advance(1);
  expect((await stored())?.refused).toEqual({});
});

test('F4: a link that is dropped keeps its denials in the store, and is no latch any more', async () => {
  const { clock, first, stored } = twoInstances();
  await first.denied(ref, aDenial({ receivedAt: clock.now(), reach: 'key' }));
  await first.unlinked(ref, () => Promise.resolve(false));
  expect(await stored()).toMatchObject({ latch: null, denials: { key: clock.now() } });
  expect(first.known(ref)?.latch).toBeNull();
});

test('F4: however often a server asks while the store is away, the first and the newest denial of a kind are kept', async () => {
  const { clock, cut, tries, first, stored } = twoInstances();
  const firstDenialAt = clock.now();
  cut.writes = true;
  // Three came at once, before it was known that the store is away.
  const met = [0, 1, 2, 3, 4, 5, 6, 7].map(async (number) => {
    await clock.pause(millis(Math.max(0, number - 2) * 10));
    await first.denied(ref, aDenial({ id: `denial-${number}`, receivedAt: clock.now() })).catch(() => undefined);
  });
  await clock.advance(60);
  await Promise.all(met);
  cut.writes = false;
  tries.links = 0;
  await clock.advance(2 * second);
  expect(tries.links).toBe(2);
  expect((await stored())?.latch).toMatchObject({ firstDenialAt, newestDenialAt: firstDenialAt + 50, witnesses: 2 });
  expect(first.known(ref)).toEqual(await stored());
});

test('F4: a link that comes back after its row was removed is known by the new row, to one that last saw the old one too', async () => {
  const { clock, first, second: other, stored } = twoInstances();
  for (let time = 0; time < 5; time += 1) {
    await clock.advance(second);
    await first.proven(ref, { sentAt: clock.now(), known: null });
    await first.storeProof(ref);
  }
  await other.picture(ref.vault);
  await first.unlinked(ref, () => Promise.resolve(false));
  expect(await stored()).toBeUndefined();
  expect(first.known(ref)).toBeUndefined();
  await other.denied(ref, aDenial({ receivedAt: clock.now() }));
  expect(other.known(ref)?.latch).toMatchObject({ status: 'suspected' });
  expect((await other.picture(ref.vault)).links).toMatchObject([{ latch: { status: 'suspected' } }]);
});

describe('F4: a refusal of wrap ends with a wrap that succeeds at the link, whoever knew of it', () => {
  const denied = { finding: 'WrapDenied' } as const;

  test('at an instance that has read nothing yet', async () => {
    const { clock, reads, first, second: other, stored } = twoInstances();
    await other.refused(ref, { operation: 'wrapKey', since: clock.now(), ...denied });
    await clock.advance(minute);
    first.allowed(ref, 'wrapKey', clock.now());
    await clock.advance(1);
    expect(reads).toEqual(['kv-west']);
    expect((await stored())?.refused).toEqual({});
  });

  test('at one that read before the refusal: the gate sees it ended, and so does the store', async () => {
    const { clock, first, second: other, stored } = twoInstances();
    await first.picture('kv-west');
    await other.refused(ref, { operation: 'wrapKey', since: clock.now(), ...denied });
    await clock.advance(minute);
    first.allowed(ref, 'wrapKey', clock.now());
    await clock.advance(minute);
    const [picture] = await first.pictures('kv-west', 'kv-north', 'kv-west');
    expect(picture.links).toMatchObject([{ refused: {} }]);
    expect((await stored())?.refused).toEqual({});
  });

  test('but not with one that may have been sent before it, by a clock 2 s apart', async () => {
    const { clock, first, second: other } = twoInstances();
    await first.picture('kv-west');
    await other.refused(ref, { operation: 'wrapKey', since: clock.now(), ...denied });
    await clock.advance(2 * second);
    first.allowed(ref, 'wrapKey', clock.now());
    expect((await first.picture('kv-west')).links).toMatchObject([{ refused: { wrapKey: denied } }]);
  });

  test('nor with one that was sent before a refusal that this instance met itself, whatever its clock says', async () => {
    const { clock, first } = twoInstances();
    first.allowed(ref, 'wrapKey', clock.now());
    await clock.advance(1);
    await first.refused(ref, { operation: 'wrapKey', since: instant(clock.now() - 3 * second), ...denied });
    expect((await first.picture('kv-west')).links).toMatchObject([{ refused: { wrapKey: denied } }]);
  });

  test('nor with one that was stamped before the wall clock was set', async () => {
    const { clock, first, second: other } = twoInstances();
    await first.picture('kv-west');
    first.allowed(ref, 'wrapKey', clock.now());
    clock.step(-hour);
    await other.refused(ref, { operation: 'wrapKey', since: clock.now(), ...denied });
    await clock.advance(2 * hour);
    expect((await first.picture('kv-west')).links).toMatchObject([{ refused: { wrapKey: denied } }]);
  });

  test("nor with a wrap at another server's link", async () => {
    const { clock, first, second: other } = twoInstances();
    await first.picture('kv-west');
    await other.refused(ref, { operation: 'wrapKey', since: clock.now(), ...denied });
    await clock.advance(minute);
    first.allowed(aRef({ server: 'sql-other' }), 'wrapKey', clock.now());
    expect((await first.picture('kv-west')).links).toMatchObject([{ refused: { wrapKey: denied } }]);
  });
});

describe('what other instances stored', () => {
  test('a latch that another released is forgotten by one that is used, with one read each 15 s at most', async () => {
    const { clock, reads, first, second: other } = twoInstances();
    const neighbour = aRef({ server: 'sql-other' });
    await proveAndStore(other, neighbour, clock.now());
    await first.denied(ref, aDenial({ receivedAt: clock.now() }));
    await first.picture('kv-west');
    reads.length = 0;
    for (let ms = 0; ms < 45_000; ms += 100) {
      await first.proven(ref, { sentAt: clock.now(), known: null });
      await clock.advance(100);
    }
    expect(reads).toHaveLength(2);
    const generation = first.known(ref)?.latch?.generation ?? null;
    await other.proven(ref, { sentAt: clock.now(), known: generation });
    await first.proven(ref, { sentAt: clock.now(), known: null });
    await clock.advance(1);
    expect(first.known(ref)?.latch).toBeNull();
    reads.length = 0;
    await clock.advance(minute);
    await first.proven(ref, { sentAt: clock.now(), known: null });
    await first.proven(neighbour, { sentAt: clock.now(), known: null });
    first.allowed(neighbour, 'wrapKey', clock.now());
    expect(reads).toEqual([]);
  });

  test('of a healthy vault nothing is read but once', async () => {
    const { clock, reads, tries, first, second: other } = twoInstances();
    await proveAndStore(other, ref, clock.now());
    for (let call = 0; call < 100; call += 1) {
      await first.proven(ref, { sentAt: clock.now(), known: null });
      first.allowed(ref, 'wrapKey', clock.now());
      await clock.advance(second);
    }
    expect(reads).toEqual(['kv-west']);
    expect(tries).toEqual({ links: 0, vaults: 0 });
  });

  test('F3: a link whose row is gone has one again with the first unwrap, else the watch would never prove it', async () => {
    const { clock, reads, tries, first, stored } = twoInstances();
    for (let call = 0; call < 40; call += 1) {
      first.allowed(ref, 'wrapKey', clock.now());
      await clock.advance(second);
    }
    expect({ row: await stored(), reads: reads.length }).toEqual({ row: undefined, reads: 3 });
    await clock.advance(minute);
    const sentAt = clock.now();
    for (let call = 0; call < 40; call += 1) {
      await first.proven(ref, { sentAt: clock.now(), known: null });
      await clock.advance(second);
    }
    expect((await stored())?.provenAt).toBe(sentAt);
    expect(tries.links).toBe(1);
  });
});

describe('F3: a storm of 450 servers at a vault that hangs', () => {
  const begins = (at: Instant) => (stored: VaultHealth) =>
    stored.outageSince === null ? { next: { ...stored, outageSince: at }, events: [] } : null;

  test('tells the store once that the outage began', async () => {
    const { clock, tries, first, second: other } = twoInstances();
    const began = clock.now();
    await Promise.all(Array.from({ length: 450 }, () => first.changeVault('kv-west', begins(began))));
    expect(tries.vaults).toBe(1);
    expect((await other.picture('kv-west')).health.outageSince).toBe(began);
    // What is known is no older than a picture may be: another instance may have ended it.
    await clock.advance(1001);
    await first.changeVault('kv-west', begins(began));
    expect(tries.vaults).toBe(2);
  });

  test('reads each vault at most once a second', async () => {
    const { clock, reads, first } = twoInstances();
    for (let ms = 0; ms < 10_000; ms += 50) {
      await Promise.all(Array.from({ length: 20 }, () => first.pictures('kv-west', 'kv-north', 'kv-west')));
      await clock.advance(50);
    }
    for (const vault of ['kv-west', 'kv-north']) expect(reads.filter((read) => read === vault).length).toBeLessThanOrEqual(10);
  });

  test('with the store away those who wait behind the first share its fault', async () => {
    const { clock, cut, tries, first } = twoInstances();
    cut.writes = true;
    const told = Promise.allSettled(Array.from({ length: 450 }, () => first.changeVault('kv-west', begins(clock.now()))));
    expect(new Set((await told).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(tries.vaults).toBe(1);
    cut.writes = false;
    expect((await first.changeVault('kv-west', begins(clock.now()))).outageSince).toBe(clock.now());
  });
});
