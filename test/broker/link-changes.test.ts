import { beforeEach, describe, expect, it } from 'vitest';
import { createLinkChanges } from '../../src/broker/link-changes.ts';
import type { ChangeLink, DecideLink } from '../../src/broker/link-changes.ts';
import type { LinkAccess } from '../../src/domain/access.ts';
import { instant, millis } from '../../src/domain/time.ts';
import { StoreAway } from '../../src/ports/store.ts';
import type { AccessLog } from '../../src/ports/access-log.ts';
import { anUntried, at } from '../support/builders.ts';
import { anEvent, aRef, keyId } from '../support/stored-values.ts';
import { virtualClock } from '../support/virtual-clock.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';

const ref = aRef();
const storeMs = 20;

let clock: VirtualClock;
let stored: LinkAccess | undefined;
let writes: { readonly events: readonly string[] }[];
let away: boolean;
let changeLink: ChangeLink;
beforeEach(() => {
  clock = virtualClock();
  stored = undefined;
  writes = [];
  away = false;
  const accessLog: Pick<AccessLog, 'changeLink'> = {
    async changeLink(_ref, decide) {
      await clock.pause(millis(storeMs));
      if (away) throw new StoreAway('away');
      const change = decide(stored);
      writes.push({ events: change?.events.map(({ id }) => id) ?? [] });
      if (change !== null) stored = change.next ?? undefined;
      return stored;
    },
  };
  const pictures = { known: () => undefined, learn: () => undefined, forget: () => undefined };
  changeLink = createLinkChanges({ accessLog: accessLog as AccessLog, clock, pictures });
});

/** Stores a denial of its own second, and tells of it. */
function denial(second: number): DecideLink {
  return (before) => ({
    next: { ...anUntried(ref), denials: { key: at(second * 1000) }, revision: (before?.revision ?? 0) + 1 },
    events: [anEvent(`denial-${second}`)],
  });
}

describe('changes of one link', () => {
  it('F4: four hundred that meet a denial at once are durable after few writes, in their order, with all their events', async () => {
    const ends: number[] = [];
    const all = Array.from({ length: 400 }, (_unused, i) => changeLink(ref, denial(i)).then(() => ends.push(clock.elapsed())));
    await clock.advance(20 * storeMs);
    await Promise.all(all);
    expect(writes.length).toBeLessThanOrEqual(9);
    expect(Math.max(...ends) - Math.min(...ends)).toBeLessThanOrEqual(9 * storeMs);
    expect(writes.flatMap(({ events }) => events)).toEqual(Array.from({ length: 400 }, (_unused, i) => `denial-${i}`));
    expect(stored?.denials).toEqual({ key: at(399_000) });
  });

  it('each is decided on what those before it left; one that changes nothing hears what is stored', async () => {
    const seen: (number | undefined)[] = [];
    const look: DecideLink = (before) => (seen.push(before?.revision), null);
    const answers = [changeLink(ref, denial(1)), changeLink(ref, look), changeLink(ref, denial(2)), changeLink(ref, look)];
    await clock.advance(10 * storeMs);
    const first = Number(seen[0]);
    expect(first).toBeGreaterThanOrEqual(clock.now() - 10 * storeMs);
    expect(seen).toEqual([first, first + 1]);
    expect(await answers[1]).toMatchObject({ revision: first + 1 });
  });

  it('one that removes the row leaves nothing to those behind it', async () => {
    await Promise.all([changeLink(ref, denial(1)), clock.advance(storeMs)]);
    const seen: unknown[] = [];
    const removed = changeLink(ref, () => ({ next: null, events: [] }));
    const looked = changeLink(ref, (before) => (seen.push(before), null));
    await clock.advance(5 * storeMs);
    expect([await removed, await looked, seen, stored]).toEqual([undefined, undefined, [undefined], undefined]);
  });

  it('F4: none is taken for stored where the write fails, and the next are written again', async () => {
    away = true;
    const lost = [1, 2, 3].map((second) => changeLink(ref, denial(second)).catch((error: unknown) => error));
    await clock.advance(10 * storeMs);
    for (const error of await Promise.all(lost)) expect(error).toBeInstanceOf(StoreAway);
    away = false;
    const kept = changeLink(ref, denial(4));
    await clock.advance(10 * storeMs);
    expect((await kept)?.denials).toEqual({ key: at(4000) });
  });

  it('links do not wait for one another', async () => {
    const other = aRef({ keyId: keyId('kv-west', 'b'.repeat(32)) });
    const both = [changeLink(ref, denial(1)), changeLink(other, denial(2))];
    await clock.advance(storeMs);
    await Promise.all(both);
    expect(clock.elapsed()).toBeLessThan(2 * storeMs + instant(1));
    expect(writes).toHaveLength(2);
  });
});
