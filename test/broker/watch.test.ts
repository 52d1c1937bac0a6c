import { describe, expect, test } from 'vitest';
import type { LinkAccess } from '../../src/domain/access.ts';
import type { Link, RegisteredServer, Server } from '../../src/domain/server.ts';
import { millis } from '../../src/domain/time.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { aFault, aLatch, anUntried, aStandbyRef, at, hour, minute, noon, second } from '../support/builders.ts';
import { aRef, aServer, keyId, thumbprint } from '../support/stored-values.ts';
import { startWatch, watchedLink } from '../support/watch-rig.ts';

const ref = aRef();
const standbyRef = aStandbyRef();
const protector = watchedLink();
const standby = watchedLink({ keyId: keyId('kv-north'), vault: 'kv-north', role: 'standby', standbyOf: protector.keyId });

function registered(links: readonly Link[], changes: Partial<Server> & { readonly name?: string } = {}): RegisteredServer {
  return { server: aServer(changes.name, changes), links, databases: new Map(), incarnation: 'incarnation-1', revision: 0 };
}

/** sql-demo with its protector alone, of which this is stored. */
async function alone(changes: Partial<LinkAccess>) {
  const rig = await startWatch();
  await rig.register(registered([protector]));
  await rig.put(anUntried(ref, changes));
  return rig;
}

const denied = aFault({ class: 'revoked', status: 403, code: 'Forbidden', reach: 'identity' });

describe('F3: the watch renews proofs', () => {
  test.each([
    [10 * minute - 1, 0],
    [10 * minute, 1],
  ])('a sound one that is %i ms old: %i canaries', async (age, canaries) => {
    const rig = await alone({ provenAt: at(-age) });
    await rig.watch();
    expect(rig.sent).toHaveLength(canaries);
    expect((await rig.row(ref))?.provenAt).toBe(canaries === 0 ? at(-age) : noon);
  });

  test.each<[string, Partial<LinkAccess>, number]>([
    ['F1: a doubt after it', { provenAt: at(-10 * second), doubtedAt: at(-5 * second) }, 1],
    ['F1: a doubt less before it than two clocks may differ', { provenAt: at(-5 * second), doubtedAt: at(-7 * second) }, 1],
    ['F1: a doubt well before it', { provenAt: at(-5 * second), doubtedAt: at(-7 * second - 1) }, 0],
    ['F4: a denial after it', { provenAt: at(-10 * second), denials: { key: at(-5 * second) } }, 1],
    ['F4: a denial less before it than two clocks may differ', { provenAt: at(-5 * second), denials: { vault: at(-7 * second) } }, 1],
    ['F4: a denial well before it', { provenAt: at(-5 * second), denials: { identity: at(-7 * second - 1) } }, 0],
  ])('at once where it is void: %s', async (_name, changes, canaries) => {
    const rig = await alone(changes);
    await rig.watch();
    expect(rig.sent).toHaveLength(canaries);
    if (canaries === 1) expect((await rig.row(ref))?.provenAt).toBe(noon);
    await rig.clock.advance(15 * second);
    await rig.watch();
    expect(rig.sent).toHaveLength(canaries);
  });

  test('F4: a denial at another link that reaches it voids it too', async () => {
    const rig = await alone({ provenAt: at(-minute) });
    await rig.put(anUntried(aRef({ server: 'sql-gone', keyId: keyId('kv-west', 'b'.repeat(32)) }), { denials: { identity: at(-second) } }));
    await rig.watch();
    expect(rig.sent.map((target) => target.keyId)).toEqual([ref.keyId]);
  });

  test('a proof from the future, of a clock that was set back, stands for nothing', async () => {
    const rig = await alone({ provenAt: at(hour) });
    await rig.watch();
    expect(rig.sent).toHaveLength(1);
    expect((await rig.row(ref))?.provenAt).toBe(noon);
  });

  test('what traffic proved after a denial is stored at once, and costs no canary', async () => {
    const rig = await alone({ provenAt: at(-minute), denials: { key: at(-30 * second) } });
    await rig.access.proven(ref, { sentAt: at(-second), known: null });
    await rig.watch();
    expect(rig.sent).toHaveLength(0);
    expect((await rig.row(ref))?.provenAt).toBe(at(-second));
  });

  test.each([
    [5 * minute - 1, at(-5 * minute + 1)],
    [5 * minute, at(-second)],
  ])('what traffic proves all the time is stored when the stored one is %i ms old', async (age, stored) => {
    const rig = await alone({ provenAt: at(-age) });
    await rig.access.proven(ref, { sentAt: at(-second), known: null });
    await rig.watch();
    expect((await rig.row(ref))?.provenAt).toBe(stored);
  });

  test('a key that is a standby here and the primary of another server is renewed as a primary', async () => {
    const rig = await startWatch();
    const there = watchedLink({ keyId: standby.keyId, vault: 'kv-north', protectorFrom: noon });
    await rig.register(registered([protector, standby], { name: 'sql-a' }), registered([there], { name: 'sql-b' }));
    await rig.put(anUntried(aRef({ server: 'sql-a' }), { provenAt: noon }));
    for (const server of ['sql-a', 'sql-b']) await rig.put(anUntried(aStandbyRef({ server }), { provenAt: at(-10 * minute) }));
    await rig.watch();
    expect(rig.sent.map((target) => target.keyId)).toEqual([standby.keyId]);
  });

  test('a standby is renewed after six hours, and not while its primary is denied, which one that has just begun has yet to read', async () => {
    const rig = await startWatch();
    await rig.register(registered([protector, standby]));
    await rig.put(anUntried(ref, { provenAt: noon, latch: aLatch({ firstDenialAt: at(-second), newestDenialAt: at(-second) }) }));
    await rig.put(anUntried(standbyRef, { provenAt: at(-6 * hour) }));
    // The other vault's picture comes late.
    rig.store.before = async (_access, key) => {
      if (key === 'access/kv-west/') await rig.clock.pause(millis(500));
    };
    const watched = rig.watch();
    await rig.clock.advance(second);
    await watched;
    expect(rig.sent).toHaveLength(0);
    rig.store.before = undefined;
    await rig.put(anUntried(ref, { provenAt: noon, revision: 9 }));
    await rig.clock.advance(2 * second);
    await rig.watch();
    expect(rig.sent.map((target) => target.keyId)).toEqual([standby.keyId]);
  });

  test('with room for two canaries a pass all of five have their turn, though a denial voids them all each time', async () => {
    const rig = await startWatch();
    const links = ['b', 'c', 'd', 'e', 'f'].map((letter) =>
      watchedLink({ keyId: keyId('kv-west', letter.repeat(32)), thumbprint: thumbprint(letter) }),
    );
    const servers = links.map((link, i) => registered([link], { name: `sql-${i}` }));
    await rig.register(...servers);
    for (const [i, link] of links.entries())
      await rig.put(anUntried(aRef({ server: `sql-${i}`, keyId: link.keyId }), { provenAt: at(-minute) }));
    const met = aRef({ server: 'sql-gone', keyId: keyId('kv-west', '9'.repeat(32)) });
    for (let pass = 0; pass < 3; pass++) {
      await rig.put(anUntried(met, { denials: { identity: rig.clock.now() }, revision: pass + 1 }));
      await rig.clock.advance(15 * second);
      rig.room = 2;
      await rig.watch();
    }
    expect(new Set(rig.sent.map((target) => target.keyId))).toEqual(new Set(links.map((link) => link.keyId)));
  });
});

describe('a pass is bounded, whatever has become void', () => {
  /** So many keys of one vault without a proof; the first has waited longest. */
  async function unproven(count: number) {
    const rig = await startWatch();
    const links = Array.from({ length: count }, (_, i) =>
      watchedLink({ keyId: keyId('kv-west', i.toString(16).padStart(32, '0')), thumbprint: thumbprint(`t${i}`) }),
    );
    await rig.register(...links.map((link, i) => registered([link], { name: `sql-${i}` })));
    for (const [i, link] of links.entries())
      await rig.put(anUntried(aRef({ server: `sql-${i}`, keyId: link.keyId }), { provenAt: at(-hour + i) }));
    return { rig, keyIds: links.map((link) => link.keyId) };
  }

  test('B4: whatever makes all proofs void at once, a pass sends at most a hundred canaries, the oldest proofs first', async () => {
    const { rig, keyIds } = await unproven(130);
    await rig.watch();
    expect(rig.sent.map((target) => target.keyId)).toEqual(keyIds.slice(0, 100));
    rig.sent.length = 0;
    await rig.clock.advance(15 * second);
    await rig.watch();
    expect(rig.sent.map((target) => target.keyId)).toEqual(keyIds.slice(100));
  });

  test('where each takes 3 s, eight at a time are begun for 10 s; the next pass goes on with those that are left', async () => {
    const { rig, keyIds } = await unproven(60);
    rig.store.before = (access) => (access === 'write' ? rig.clock.pause(millis(3 * second)) : undefined);
    const pass = async () => {
      const watched = rig.watch();
      await rig.clock.advance(30 * second);
      await watched;
      return rig.sent.splice(0).map((target) => target.keyId);
    };
    expect(await pass()).toEqual(keyIds.slice(0, 32));
    expect(await pass()).toEqual(keyIds.slice(32));
  });

  test('a server that cannot be read keeps no other of its vault from being looked after', async () => {
    const { rig, keyIds } = await unproven(3);
    const another = await rig.another();
    rig.store.before = undefined;
    another.store.before = (access, key) => {
      if (access === 'read' && key.endsWith('sql-1')) throw new Unreadable('server `sql-1` cannot be read');
    };
    await another.watch();
    expect(another.sent.map((target) => target.keyId)).toEqual([keyIds[0], keyIds[2]]);
  });
});

test('F7: a canary that meets 429 slows the budget of its vault down', async () => {
  const rig = await alone({ provenAt: at(-hour) });
  rig.answer = () => aFault({ class: 'throttled', status: 429 });
  await rig.watch();
  expect(rig.sent).toHaveLength(1);
  expect(rig.throttled).toEqual(['kv-west']);
});

describe('F6: the watch looks at suspects', () => {
  test.each([
    [29_999, 0, 'suspected'],
    [30_000, 1, 'confirmed'],
  ])('first denied %i ms ago: %i canaries, %s', async (age, canaries, status) => {
    const rig = await alone({ latch: aLatch({ firstDenialAt: at(-age), newestDenialAt: at(-age) }), denials: { identity: at(-age) } });
    rig.answer = () => denied;
    await rig.watch();
    expect(rig.sent).toHaveLength(canaries);
    expect((await rig.row(ref))?.latch?.status).toBe(status);
  });

  test('a suspect that a clock stamped which has been set back counts anew from the look at it, and is confirmed in its time', async () => {
    const rig = await alone({ latch: aLatch({ firstDenialAt: at(hour), newestDenialAt: at(hour) }), denials: { identity: at(hour) } });
    rig.answer = () => denied;
    await rig.watch();
    expect((await rig.row(ref))?.latch).toMatchObject({ status: 'suspected', firstDenialAt: noon, witnesses: 1 });
    await rig.clock.advance(30 * second);
    await rig.watch();
    expect((await rig.row(ref))?.latch).toMatchObject({ status: 'confirmed', firstDenialAt: noon });
    expect((await rig.server('sql-demo')).server).toMatchObject({ state: 'atRisk', clock: { firstDenialAt: noon } });
  });

  test('such a suspect that is granted again is released', async () => {
    const rig = await alone({ latch: aLatch({ firstDenialAt: at(hour), newestDenialAt: at(hour) }) });
    await rig.watch();
    expect((await rig.row(ref))?.latch).toBeNull();
  });
});

describe('A2: a server whose protector was set anew, with the same material in another vault', () => {
  const confirmed = aLatch({ status: 'confirmed', firstDenialAt: at(-minute), newestDenialAt: at(-minute) });
  const clock = { firstDenialAt: at(-minute), inaccessibleAt: at(9 * minute), healsUntil: at(8 * hour - minute) };
  const moved = watchedLink({ keyId: keyId('kv-north'), vault: 'kv-north' });
  const former = watchedLink({ role: 'additional', protectorTo: noon });

  async function atRisk(links: readonly Link[] = [moved, former]) {
    const rig = await startWatch();
    await rig.register(registered(links, { state: 'atRisk', clock }));
    await rig.put(anUntried(ref, { latch: confirmed, denials: { identity: at(-minute) } }));
    await rig.put(anUntried(standbyRef, { provenAt: noon }));
    rig.answer = (target) => (target.vault.name === 'kv-west' ? denied : undefined);
    return rig;
  }

  test('stays at risk while the latch that started its clock stands', async () => {
    const rig = await atRisk();
    for (let pass = 0; pass < 3; pass++) {
      await rig.watch();
      await rig.clock.advance(15 * second);
    }
    expect((await rig.server('sql-demo')).server).toMatchObject({ state: 'atRisk', clock });
  });

  test('becomes inaccessible in its time', async () => {
    const rig = await atRisk();
    await rig.clock.advance(9 * minute);
    await rig.watch();
    expect((await rig.server('sql-demo')).server).toMatchObject({ state: 'inaccessible', since: at(9 * minute), clock });
  });

  test('is online again when access to the former key is back', async () => {
    const rig = await atRisk();
    rig.answer = () => undefined;
    await rig.watch();
    await rig.clock.advance(15 * second);
    await rig.watch();
    expect((await rig.row(ref))?.latch).toBeNull();
    expect((await rig.server('sql-demo')).server).toMatchObject({ state: 'online', clock: null });
  });

  test('a latch that came later at another key of the material does not hold it', async () => {
    const rig = await atRisk();
    await rig.put(anUntried(ref, { latch: { ...confirmed, firstDenialAt: noon }, revision: 9 }));
    await rig.watch();
    expect((await rig.server('sql-demo')).server.state).toBe('online');
  });

  test('other material does not hold it', async () => {
    const rig = await atRisk([moved, { ...former, thumbprint: thumbprint('B') }]);
    await rig.watch();
    expect((await rig.server('sql-demo')).server.state).toBe('online');
  });

  test('an instance that has just begun does not take what it has not read for a release', async () => {
    const rig = await (await atRisk()).another();
    rig.answer = (target) => (target.vault.name === 'kv-west' ? denied : undefined);
    rig.store.before = (access, key) => {
      if (access === 'read' && key === 'access/kv-west/') throw new StoreAway('this partition is away');
    };
    await rig.watch();
    expect((await rig.server('sql-demo')).server).toMatchObject({ state: 'atRisk', clock });
  });
});

describe('F4: what is left of links that are gone', () => {
  const goneRef = aRef({ server: 'sql-gone' });

  test('is taken out by the watch where a kill left it, and is no latch any more; its denials go on reaching others', async () => {
    const rig = await alone({ provenAt: noon });
    const latch = aLatch({ status: 'confirmed', firstDenialAt: at(-hour), newestDenialAt: at(-hour) });
    await rig.put(anUntried(goneRef, { latch, provenAt: at(-2 * hour), denials: { identity: at(-hour) } }));
    const never = aRef({ keyId: keyId('kv-west', 'c'.repeat(32)) });
    await rig.put(anUntried(never, { provenAt: at(-hour) }));
    await rig.watch();
    expect(await rig.row(goneRef)).toMatchObject({ latch: null, provenAt: null, denials: { identity: at(-hour) } });
    expect(await rig.row(never)).toBeUndefined();
    expect((await rig.row(ref))?.provenAt).toBe(noon);
  });

  test.each([
    ['K4: proven a minute ago less a moment, it may be linked any moment', minute - 1, true],
    ['proven a minute ago, it was linked by nobody', minute, false],
    ['K4: proven by an instance whose clock is a little ahead', -2 * second, true],
    ['proven by a clock that was far ahead', -hour, false],
  ])('%s: stays or goes', async (_name, age, stays) => {
    const rig = await alone({ provenAt: noon });
    await rig.put(anUntried(goneRef, { provenAt: at(-age) }));
    await rig.watch();
    expect((await rig.row(goneRef))?.provenAt).toBe(stays ? at(-age) : undefined);
  });

  test('goes after a day', async () => {
    const rig = await alone({ provenAt: noon });
    await rig.put(anUntried(goneRef, { denials: { key: noon }, doubtedAt: noon }));
    await rig.clock.advance(24 * hour);
    await rig.watch();
    expect(await rig.row(goneRef)).toBeDefined();
    await rig.clock.advance(15 * second);
    await rig.watch();
    expect(await rig.row(goneRef)).toBeUndefined();
  });

  test('of a server that cannot be read stays', async () => {
    const rig = await alone({ provenAt: noon });
    await rig.put(anUntried(goneRef, { provenAt: at(-hour) }));
    rig.store.before = (access, key) => {
      if (access === 'read' && key.endsWith('sql-gone')) throw new Unreadable('server `sql-gone` cannot be read');
    };
    await rig.watch();
    rig.store.before = undefined;
    expect((await rig.row(goneRef))?.provenAt).toBe(at(-hour));
  });

  test('takes a pass no longer than eight look-ups at once take', async () => {
    const rig = await alone({ provenAt: noon });
    for (let i = 0; i < 80; i++) await rig.put(anUntried(aRef({ server: `gone-${i}` }), { denials: { key: at(-second) } }));
    rig.store.before = (access, key) => (access === 'read' && key.startsWith('server/') ? rig.clock.pause(millis(100)) : undefined);
    let ended = false;
    void rig.watch().then(() => (ended = true));
    await rig.clock.advance(1100);
    expect(ended).toBe(true);
  });
});

test('F5: a denial that was stamped by a clock an hour ahead holds failover back for 10 min from when it is noticed', async () => {
  const rig = await alone({ provenAt: at(-minute), denials: { vault: at(hour) } });
  await rig.watch();
  expect((await rig.row(ref))?.denials).toEqual({ vault: noon });
  expect(rig.sent).toHaveLength(1);
});

describe('a row of one vault that cannot be read holds up only what depends on it', () => {
  const other = watchedLink({ keyId: keyId('kv-north', 'b'.repeat(32)), vault: 'kv-north', thumbprint: thumbprint('B') });

  async function withUnreadable(state: Partial<Server> = {}) {
    const rig = await startWatch();
    await rig.register(registered([protector, standby], state), registered([other], { name: 'sql-other' }));
    await rig.put(anUntried(ref, { provenAt: noon }));
    await rig.put(anUntried(standbyRef, { provenAt: at(-7 * hour) }));
    await rig.put(anUntried(aStandbyRef({ server: 'sql-other', keyId: other.keyId }), { provenAt: at(-hour) }));
    rig.store.before = (access, key) => {
      if (access === 'read' && key === 'access/kv-west/') throw new Unreadable('a row of kv-west cannot be read');
    };
    return rig;
  }

  test('F3: its standbys elsewhere are left alone, the other keys there are renewed, and the log says what cannot be read', async () => {
    const rig = await withUnreadable();
    await rig.watch();
    expect(rig.sent.map((target) => target.keyId)).toEqual([other.keyId]);
    expect(rig.logged).toEqual([
      { level: 'error', message: 'a vault cannot be watched', about: { vault: 'kv-west', reason: 'a row of kv-west cannot be read' } },
    ]);
  });

  test('A2: a server with the same material there is not moved', async () => {
    const rig = await startWatch();
    const clock = { firstDenialAt: at(-minute), inaccessibleAt: at(9 * minute), healsUntil: at(8 * hour - minute) };
    const moved = watchedLink({ keyId: keyId('kv-north'), vault: 'kv-north' });
    await rig.register(registered([moved, watchedLink({ role: 'additional', protectorTo: noon })], { state: 'atRisk', clock }));
    await rig.put(anUntried(standbyRef, { provenAt: noon }));
    rig.store.before = (access, key) => {
      if (access === 'read' && key === 'access/kv-west/') throw new Unreadable('a row of kv-west cannot be read');
    };
    await rig.watch();
    expect((await rig.server('sql-demo')).server).toMatchObject({ state: 'atRisk', clock });
  });
});

test('F2: an old outage ends by the key with the newest proof, so that one that fails alone holds it up for no longer than its proof is new', async () => {
  const rig = await startWatch();
  const links = ['b', 'c', 'd'].map((letter) =>
    watchedLink({ keyId: keyId('kv-west', letter.repeat(32)), thumbprint: thumbprint(letter) }),
  );
  await rig.register(...links.map((link, i) => registered([link], { name: `sql-${i}` })));
  for (const [i, link] of links.entries())
    await rig.put(anUntried(aRef({ server: `sql-${i}`, keyId: link.keyId }), { provenAt: at(i === 1 ? -second : -minute) }));
  rig.circuit = 'open';
  await rig.watch();
  expect(rig.sent.map((target) => target.keyId)).toEqual([links[1]?.keyId]);
});

test('F2: a circuit that is open for wraps alone, with no traffic to probe it, is probed by a canary wrap where wraps go to', async () => {
  const rig = await startWatch();
  const former = watchedLink({ keyId: keyId('kv-west', 'f'.repeat(32)), thumbprint: thumbprint('f'), role: 'additional' });
  const protector = watchedLink();
  await rig.register(registered([former, protector]));
  await rig.put(anUntried(aRef({ keyId: former.keyId }), { provenAt: noon }));
  await rig.put(anUntried(aRef({ keyId: protector.keyId }), { provenAt: at(-second) }));
  Object.assign(rig, { circuit: 'open', wrapsAlone: true });
  await rig.watch();
  await rig.clock.advance(0);
  expect(rig.wrapped).toEqual([protector.keyId]);
  rig.circuit = 'closed';
  await rig.clock.advance(10 * second);
  expect(rig.clock.pending).toBe(0);
});

test('F2, F9: a circuit that was opened by the canary of a latched link is probed until the vault answers', async () => {
  const rig = await alone({ latch: aLatch({ firstDenialAt: at(-minute), newestDenialAt: at(-minute) }) });
  rig.answer = () => denied;
  rig.circuit = 'open';
  await rig.watch();
  await rig.clock.advance(0);
  const looked = rig.sent.length;
  await rig.clock.advance(10 * second);
  expect(rig.sent.length - looked).toBe(5);
  Object.assign(rig, { circuit: 'closed', answer: () => undefined });
  await rig.clock.advance(10 * second);
  expect(rig.clock.pending).toBe(0);
  expect((await rig.row(ref))?.latch).toBeNull();
});

test('F8: a failover whose vault answers again is told to have ended without traffic', async () => {
  const rig = await alone({ provenAt: noon });
  await rig.access.changeVault('kv-west', (stored) => ({
    next: { ...stored, outageSince: at(-minute), failoverSince: at(-minute) },
    events: [],
  }));
  await rig.watch();
  await rig.clock.advance(15 * second);
  expect(rig.access.health('kv-west')).toMatchObject({ outageSince: null, failoverSince: at(-minute) });
  await rig.watch();
  await rig.clock.advance(1);
  expect(rig.access.health('kv-west')).toMatchObject({ outageSince: null, failoverSince: null });
  await rig.watch();
  expect(rig.sent).toHaveLength(2);
});

test('F8: a failover whose vault denies when it is back is told to have ended without traffic, while a circuit that is open holds it', async () => {
  const rig = await alone({ latch: aLatch({ status: 'confirmed', firstDenialAt: at(-hour), newestDenialAt: at(-hour) }) });
  rig.answer = () => denied;
  await rig.access.changeVault('kv-west', (stored) => ({
    next: { ...stored, outageSince: at(-minute), failoverSince: at(-minute) },
    events: [],
  }));
  const watched = async () => {
    await rig.watch();
    await rig.clock.advance(15 * second);
    return rig.access.health('kv-west');
  };
  rig.circuit = 'open';
  for (let pass = 0; pass < 3; pass += 1) expect(await watched()).toMatchObject({ failoverSince: at(-minute) });
  rig.circuit = 'closed';
  expect(await watched()).toMatchObject({ failoverSince: at(-minute) });
  expect(await watched()).toMatchObject({ outageSince: at(-minute), failoverSince: null });
});

test('F4: a refusal of wrap that a latch left ends when access is back, without traffic', async () => {
  const latch = aLatch({ firstDenialAt: at(-minute), newestDenialAt: at(-minute) });
  const rig = await alone({ latch, refused: { wrapKey: { since: at(-minute), finding: 'WrapDenied' } } });
  await rig.watch();
  await rig.clock.advance(1);
  expect(rig.wrapped).toEqual([ref.keyId]);
  expect(await rig.row(ref)).toMatchObject({ latch: null, refused: {} });
});
