import { describe, expect, test } from 'vitest';
import { createPictures } from '../../src/broker/pictures.ts';
import { soundVault, type AccessPicture, type LinkAccess } from '../../src/domain/access.ts';
import { millis } from '../../src/domain/time.ts';
import type { AccessLog } from '../../src/ports/access-log.ts';
import { accessDoubted, unwrapDenied } from '../../src/policy/denial.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aDenial, aLatch, anUntried, aPicture, aStandbyRef, at, denialRules, noon } from '../support/builders.ts';
import { aRef, keyId } from '../support/stored-values.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';

const ref = aRef();
const other = aRef({ server: 'sql-other', keyId: keyId('kv-west', 'b'.repeat(32)) });
const denied = (stored: LinkAccess | undefined) => unwrapDenied(stored, ref, aDenial(), denialRules);
const proven = anUntried(ref, { provenAt: noon });
const latched = anUntried(ref, { latch: aLatch(), denials: { identity: noon }, revision: 1 });

/** Pictures over a store that answers reads at once, with `rows`, or when told to, where `held`. */
function pictured(...rows: readonly LinkAccess[]) {
  const clock = virtualClock();
  const state = { rows, held: false, away: false };
  const reads: { readonly vault: string; readonly answer: (links?: readonly LinkAccess[]) => void }[] = [];
  const accessLog = {
    read: (vault: string): Promise<AccessPicture> =>
      new Promise((resolve, reject) => {
        const answer = (links = state.rows): void => resolve({ ...aPicture(links.filter((row) => row.ref.vault === vault)), vault });
        reads.push({ vault, answer });
        if (state.away) reject(new StoreAway());
        else if (!state.held) answer();
      }),
  } as unknown as AccessLog;
  const rules = { pictureMaxAgeMs: millis(1000) } as Parameters<typeof createPictures>[0]['rules'];
  return { pictures: createPictures({ accessLog, clock, rules }), clock, state, reads };
}

describe('F3: a picture is at most a second old', () => {
  test.each([
    [0, 1],
    [1000, 1],
    [1001, 2],
  ])('asked again %i ms after the read: %i reads', async (ms, count) => {
    const { pictures, clock, reads } = pictured(proven);
    expect((await pictures.read('kv-west')).links).toEqual([proven]);
    await clock.advance(ms);
    expect((await pictures.read('kv-west')).links).toEqual([proven]);
    expect(reads).toHaveLength(count);
  });

  test('the second counts from the beginning of the read', async () => {
    const { pictures, clock, state, reads } = pictured(proven);
    state.held = true;
    const asked = pictures.read('kv-west');
    await clock.advance(600);
    reads[0]!.answer();
    await asked;
    await clock.advance(401);
    void pictures.read('kv-west');
    expect(reads).toHaveLength(2);
  });

  test('all who ask meanwhile wait for one read; each vault has its own', async () => {
    const { pictures, state, reads } = pictured(proven, anUntried(aStandbyRef(), { provenAt: noon }));
    state.held = true;
    const asked = Array.from({ length: 450 }, () => pictures.read('kv-west'));
    const there = pictures.read('kv-north');
    await settled();
    expect(reads.map(({ vault }) => vault)).toEqual(['kv-west', 'kv-north']);
    for (const read of reads) read.answer();
    expect(new Set((await Promise.all(asked)).map((picture) => picture.links[0]?.ref.vault))).toEqual(new Set(['kv-west']));
    expect((await there).links[0]?.ref.vault).toBe('kv-north');
  });

  test('one who joined a read that began too long ago reads once more', async () => {
    const { pictures, clock, state, reads } = pictured(proven);
    state.held = true;
    const asked = pictures.read('kv-west');
    await clock.advance(1001);
    reads[0]!.answer([proven]);
    await settled();
    expect(reads).toHaveLength(2);
    reads[1]!.answer([latched]);
    expect((await asked).links).toEqual([latched]);
  });

  test('a store that never answers in a second is away: nothing is decided on an old picture', async () => {
    const { pictures, clock, state, reads } = pictured(proven);
    state.held = true;
    const asked = expect(pictures.read('kv-west')).rejects.toBeInstanceOf(StoreAway);
    for (const read of [0, 1]) {
      await clock.advance(1001);
      reads[read]!.answer();
    }
    await asked;
  });

  test('a store that is away is told as that, and asked again by the next', async () => {
    const { pictures, clock, state } = pictured(proven);
    await pictures.read('kv-west');
    await clock.advance(1001);
    state.away = true;
    await expect(pictures.read('kv-west')).rejects.toBeInstanceOf(StoreAway);
    state.away = false;
    expect((await pictures.read('kv-west')).links).toEqual([proven]);
  });

  test("a vault's health that was changed while a read was under way is not lost by its answer", async () => {
    const { pictures, clock, state, reads } = pictured(proven);
    const down = { ...soundVault, outageSince: noon };
    state.held = true;
    const asked = pictures.read('kv-west');
    await clock.advance(1);
    pictures.learnHealth('kv-west', down);
    reads[0]!.answer();
    expect((await asked).health).toEqual(down);
    expect(pictures.health('kv-west')).toEqual(down);
    await clock.advance(1000);
    expect(pictures.youngHealth('kv-west')).toEqual(down);
    await clock.advance(1);
    expect(pictures.youngHealth('kv-west')).toBeUndefined();
  });
});

describe('F4: what this instance stored itself it knows at once', () => {
  test('also in a picture that was read before', async () => {
    const { pictures } = pictured(proven);
    const neighbour = anUntried(other, { provenAt: noon });
    await pictures.read('kv-west');
    pictures.learn(latched);
    pictures.learn(neighbour);
    expect((await pictures.read('kv-west')).links).toEqual([latched, neighbour]);
  });

  test('also in a picture whose read was under way', async () => {
    const { pictures, clock, state, reads } = pictured(proven);
    state.held = true;
    const asked = pictures.read('kv-west');
    await clock.advance(1);
    pictures.learn(latched);
    reads[0]!.answer([proven]);
    expect((await asked).links).toEqual([latched]);
  });

  test('what another instance changed since is right in the next picture', async () => {
    const { pictures, clock, state } = pictured(proven);
    pictures.learn(latched);
    await clock.advance(1001);
    const released = { ...proven, revision: 2 };
    state.rows = [released];
    expect((await pictures.read('kv-west')).links).toEqual([released]);
    expect(pictures.known(ref)).toEqual(released);
  });

  test('but not before what another instance changed after it, in a read that had begun', async () => {
    const { pictures, clock, state, reads } = pictured();
    state.held = true;
    const asked = pictures.read('kv-west');
    await clock.advance(1);
    pictures.learn(anUntried(ref, { provenAt: noon, revision: 1 }));
    const denied = { ...latched, revision: 2 };
    reads[0]!.answer([denied]);
    expect((await asked).links).toEqual([denied]);
    expect(pictures.known(ref)).toEqual(denied);
  });

  test('and in no other vault', async () => {
    const { pictures } = pictured();
    pictures.learn(latched);
    expect((await pictures.read('kv-north')).links).toEqual([]);
  });

  // The answer to an own write may come long after the write: what was read meanwhile is newer than the row that it tells of.
  test("an own write whose answer comes late does not hide another instance's denial for more than a second", async () => {
    const { pictures, clock, state } = pictured();
    // This instance's proof was stored three seconds ago, another's denial after it; the answer to the proof is still on its way.
    state.rows = [latched];
    await clock.advance(3000);
    await pictures.read('kv-west');
    pictures.learn(proven);
    expect((await pictures.read('kv-west')).links).toEqual([latched]);
  });
});

describe('F4: a denial that cannot be stored lies over every picture', () => {
  test('until it is dropped', async () => {
    const { pictures, clock } = pictured(proven, anUntried(other));
    const shown = anUntried(ref, { ...latched, provenAt: noon });
    pictures.overlay('denial-1', ref, denied);
    for (const ms of [0, 1, 5000]) {
      await clock.advance(ms);
      expect((await pictures.read('kv-west')).links).toEqual(expect.arrayContaining([shown, anUntried(other)]));
      expect((await pictures.read('kv-west')).links).toHaveLength(2);
    }
    pictures.dropOverlay('denial-1');
    expect((await pictures.read('kv-west')).links).toEqual([proven, anUntried(other)]);
  });

  test('over a link of which the store knows nothing', async () => {
    const { pictures } = pictured();
    pictures.overlay('denial-1', ref, denied);
    expect((await pictures.read('kv-west')).links).toEqual([latched]);
    expect((await pictures.read('kv-north')).links).toEqual([]);
    expect(pictures.known(ref)).toEqual(latched);
  });

  test('of several at one link all are known, in the order in which they were met', async () => {
    const { pictures } = pictured(proven);
    pictures.overlay('doubt-1', ref, (stored) => accessDoubted(stored, ref, at(-1)));
    pictures.overlay('denial-1', ref, denied);
    const both = { ...latched, latch: aLatch({ generation: 'denial-1~2' }), doubtedAt: at(-1), revision: 2 };
    expect(pictures.known(ref)).toEqual(both);
    expect((await pictures.read('kv-west')).links).toEqual([{ ...both, provenAt: noon }]);
    expect(pictures.known(ref)).toEqual({ ...both, provenAt: noon });
    pictures.dropOverlay('denial-1');
    expect(pictures.known(ref)).toEqual(anUntried(ref, { provenAt: noon, doubtedAt: at(-1), revision: 1 }));
  });

  test("what one instance cannot store hides no other instance's denial", async () => {
    const { pictures, clock, state } = pictured(proven);
    await pictures.read('kv-west');
    pictures.overlay('doubt-1', ref, (stored) => accessDoubted(stored, ref, at(-1)));
    await clock.advance(1001);
    state.rows = [latched];
    const doubted = { ...latched, doubtedAt: at(-1), revision: 2 };
    expect((await pictures.read('kv-west')).links).toEqual([doubted]);
    expect(pictures.known(ref)).toEqual(doubted);
  });
});

describe('what is known of a link, however old', () => {
  test('nothing, then what was read, then what was learnt, then what could not be stored', async () => {
    const { pictures, clock } = pictured(proven);
    expect(pictures.known(ref)).toBeUndefined();
    await pictures.read('kv-west');
    await clock.advance(3_600_000);
    expect(pictures.known(ref)).toEqual(proven);
    expect(pictures.known(other)).toBeUndefined();
    const doubted = anUntried(ref, { doubtedAt: noon, revision: 1 });
    pictures.learn(doubted);
    expect(pictures.known(ref)).toEqual(doubted);
    pictures.overlay('denial-1', ref, denied);
    expect(pictures.known(ref)).toEqual({ ...latched, latch: aLatch({ generation: 'denial-1~2' }), doubtedAt: noon, revision: 2 });
    pictures.dropOverlay('denial-1');
    expect(pictures.known(ref)).toEqual(doubted);
  });

  test("a vault's health: as changed by this instance or as read, whichever was last", async () => {
    const { pictures, clock } = pictured(proven);
    const down = { ...soundVault, outageSince: noon };
    expect(pictures.health('kv-west')).toBeUndefined();
    pictures.learnHealth('kv-west', down);
    expect(pictures.health('kv-west')).toEqual(down);
    await clock.advance(1);
    await pictures.read('kv-west');
    expect(pictures.health('kv-west')).toEqual(soundVault);
    pictures.learnHealth('kv-west', down);
    expect(pictures.health('kv-west')).toEqual(down);
    expect((await pictures.read('kv-west')).health).toEqual(down);
    expect((await pictures.read('kv-west')).links).toEqual([proven]);
  });
});
