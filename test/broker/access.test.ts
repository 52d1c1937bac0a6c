import { expect, test } from 'vitest';
import { createAccess } from '../../src/broker/access.ts';
import type { Parts } from '../../src/broker/parts.ts';
import { millis } from '../../src/domain/time.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aDenial, denialRules, hour, minute, second } from '../support/builders.ts';
import { createMemoryAccessLog } from '../support/memory-access-log.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { aRef } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const ref = aRef();

/** Two instances on one store; the writes of the first can be cut off. */
function twoInstances() {
  const clock = virtualClock();
  const store = createMemoryStore();
  const cut = { writes: false };
  const log = createMemoryAccessLog(store, clock);
  const rules = { pictureMaxAgeMs: millis(1000), denial: denialRules } as Parts['rules'];
  const accessLog = {
    ...log,
    changeLink: ((...change) =>
      cut.writes ? Promise.reject(new StoreAway('cut off')) : log.changeLink(...change)) as typeof log.changeLink,
  };
  const first = createAccess({ accessLog, clock, rules, log: () => undefined });
  const second = createAccess({ accessLog: log, clock, rules, log: () => undefined });
  const stored = async () => (await log.read(ref.vault)).links[0];
  return { clock, cut, first, second, stored };
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
  await expect(first.refused(ref, 'wrapKey', refusal)).rejects.toBeInstanceOf(StoreAway);
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
  await first.refused(ref, 'wrapKey', { since: clock.now(), finding: 'WrapDenied' });
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
  await first.unlinked(ref);
  expect(await stored()).toMatchObject({ latch: null, denials: { key: clock.now() } });
  expect(first.known(ref)?.latch).toBeNull();
});
