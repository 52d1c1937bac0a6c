import { describe, expect, test } from 'vitest';
import type { LinkAccess } from '../../src/domain/access.ts';
import type { Fault } from '../../src/domain/fault.ts';
import type { KeyId } from '../../src/domain/key.ts';
import type { Link, RegisteredServer, Server } from '../../src/domain/server.ts';
import { StoreAway, Unreadable } from '../../src/ports/store.ts';
import { aFault, aLatch, anUntried, at, hour, minute, noon, second } from '../support/builders.ts';
import { aRef, aServer, keyId, thumbprint } from '../support/stored-values.ts';
import { startWatch, watchedLink } from '../support/watch-rig.ts';
import type { WatchRig } from '../support/watch-rig.ts';

const denied = aFault({ class: 'revoked', status: 403, code: 'Forbidden', reach: 'identity' });
const throttled = aFault({ class: 'throttled', status: 429 });
const brokenKey = aFault({ class: 'outage', status: 500 });

function registered(name: string, links: readonly Link[], changes: Partial<Server> = {}): RegisteredServer {
  return { server: aServer(name, changes), links, databases: new Map(), incarnation: 'incarnation-1', revision: 0 };
}

/** Key number i of a vault. */
function key(vault: string, i: number): KeyId {
  return keyId(vault, i.toString(16).padStart(32, '0'));
}

function suspected(firstDenialAt: number): Partial<LinkAccess> {
  const denial = at(firstDenialAt);
  return { latch: aLatch({ firstDenialAt: denial, newestDenialAt: denial }), denials: { key: denial } };
}

function confirmed(firstDenialAt: number): Partial<LinkAccess> {
  const denial = at(firstDenialAt);
  return { latch: aLatch({ status: 'confirmed', firstDenialAt: denial, newestDenialAt: denial }), denials: { key: denial } };
}

/** So many servers with a protector in kv-west each, of which this is stored. @returns the key ids, by number. */
async function withProtectors(count: number, stored: (i: number) => Partial<LinkAccess>) {
  const rig = await startWatch();
  const keyIds = Array.from({ length: count }, (_, i) => key('kv-west', i));
  for (const [i, protector] of keyIds.entries()) {
    await rig.register(registered(`sql-${i}`, [watchedLink({ keyId: protector, thumbprint: thumbprint(`t${i}`) })]));
    await rig.put(anUntried(aRef({ server: `sql-${i}`, keyId: protector }), stored(i)));
  }
  return { rig, keyIds };
}

/** The keys that the next pass looks at, 15 s later, where the vault answers this. */
async function pass(rig: WatchRig, answer: (keyId: KeyId) => Fault | undefined): Promise<KeyId[]> {
  rig.answer = (target) => answer(target.keyId);
  await rig.clock.advance(15 * second);
  rig.sent.length = 0;
  await rig.watch();
  return rig.sent.map((target) => target.keyId);
}

describe('F6: suspects are looked at in order of first denial', () => {
  test('100 a pass, the rest at the next', async () => {
    const { rig, keyIds } = await withProtectors(130, (i) => suspected(-hour - i));
    const inOrder = keyIds.toReversed();
    expect(await pass(rig, () => denied)).toEqual(inOrder.slice(0, 100));
    expect((await pass(rig, () => denied)).slice(0, 30)).toEqual(inOrder.slice(100));
  });

  test('also where they were looked at before they were denied', async () => {
    const { rig, keyIds } = await withProtectors(3, (i) => ({ provenAt: at(-10 * minute + 15 * second * (i + 1)) }));
    for (const protector of keyIds) expect(await pass(rig, () => undefined)).toEqual([protector]);
    await rig.clock.advance(minute);
    for (const [i, protector] of keyIds.entries())
      await rig.put(anUntried(aRef({ server: `sql-${i}`, keyId: protector }), { ...suspected(minute - i), revision: 9 }));
    expect(await pass(rig, () => denied)).toEqual(keyIds.toReversed());
  });

  test('those for which the budget had no room keep their place', async () => {
    const { rig, keyIds } = await withProtectors(5, (i) => suspected(-minute + i));
    rig.room = 2;
    expect(await pass(rig, () => denied)).toEqual(keyIds.slice(0, 2));
    rig.room = Infinity;
    expect((await pass(rig, () => denied)).slice(0, 3)).toEqual(keyIds.slice(2));
  });
});

describe.each<[string, (i: number) => Partial<LinkAccess>]>([
  ['F6: suspects', (i) => suspected(-hour + i)],
  ['A3: confirmed latches', (i) => confirmed(-hour + i)],
  ['F3: proofs', (i) => ({ provenAt: at(-hour + i) })],
])('%s at which nothing comes out go to the back, so that all are reached', (_name, stored) => {
  test.each<[string, Fault]>([
    ['throttled', throttled],
    ['a key for which the service answers 500', brokenKey],
  ])('%s', async (_fault, fault) => {
    const { rig, keyIds } = await withProtectors(130, stored);
    const first = keyIds.slice(0, 100);
    const poisoned = (id: KeyId): Fault | undefined => (first.includes(id) ? fault : undefined);
    expect(await pass(rig, poisoned)).toEqual(expect.arrayContaining(first));
    expect((await pass(rig, poisoned)).slice(0, 30)).toEqual(keyIds.slice(100));
  });
});

describe('F3: standbys that are held back take nobody’s place in a pass', () => {
  /**
   * 100 servers, each with its protector in kv-west, of which this is stored, and its standby in kv-north; and one server with its protector
   * in kv-north. `stored` tells what is stored of links in kv-north, the older it is the longer ago.
   */
  async function behind(primary: Partial<LinkAccess>, stored: (ms: number) => Partial<LinkAccess>, state: Partial<Server> = {}) {
    const rig = await startWatch();
    for (let i = 0; i < 100; i += 1) {
      const protector = watchedLink({ keyId: key('kv-west', i), thumbprint: thumbprint(`t${i}`) });
      const standby = { keyId: key('kv-north', i), vault: 'kv-north', role: 'standby', standbyOf: protector.keyId } as const;
      await rig.register(registered(`sql-${i}`, [protector, watchedLink({ ...standby, thumbprint: protector.thumbprint })]));
      await rig.put(anUntried(aRef({ server: `sql-${i}`, keyId: protector.keyId }), primary));
      await rig.put(anUntried(aRef({ server: `sql-${i}`, keyId: standby.keyId, vault: 'kv-north' }), stored(-2 * minute)));
    }
    const own = aRef({ server: 'sql-own', keyId: key('kv-north', 100), vault: 'kv-north' });
    await rig.register(registered('sql-own', [watchedLink({ keyId: own.keyId, vault: 'kv-north', thumbprint: thumbprint('own') })], state));
    await rig.put(anUntried(own, stored(-minute)));
    return { rig, own };
  }

  const atNorth = (sent: readonly KeyId[]) => sent.filter((id) => id.includes('kv-north'));

  test('F6: a suspected protector behind them is confirmed, and its server is at risk', async () => {
    const { rig, own } = await behind(confirmed(-hour), suspected);
    expect(atNorth(await pass(rig, () => denied))).toEqual([own.keyId]);
    expect((await rig.row(own))?.latch?.status).toBe('confirmed');
    await pass(rig, () => denied);
    expect((await rig.server('sql-own')).server.state).toBe('atRisk');
  });

  test('A3: a server behind them heals when access is back', async () => {
    const clock = { firstDenialAt: at(-minute), inaccessibleAt: at(9 * minute), healsUntil: at(8 * hour - minute) };
    const { rig, own } = await behind(confirmed(-hour), confirmed, { state: 'inaccessible', since: noon, clock });
    expect(atNorth(await pass(rig, (id) => (id === own.keyId ? undefined : denied)))).toEqual([own.keyId]);
    await pass(rig, (id) => (id === own.keyId ? undefined : denied));
    expect((await rig.server('sql-own')).server.state).toBe('online');
  });

  test('their turn comes when their primary is released', async () => {
    const { rig, own } = await behind(confirmed(-hour), suspected);
    await pass(rig, (id) => (id === own.keyId ? denied : undefined));
    const sent = await pass(rig, (id) => (id.includes('kv-north') ? denied : undefined));
    expect(new Set(atNorth(sent))).toEqual(new Set([...Array(101).keys()].map((i) => key('kv-north', i))));
  });

  test.each<[string, Error]>([
    ['cannot be read', new Unreadable('a row of kv-west cannot be read')],
    ['is away', new StoreAway('this partition is away')],
  ])('where what is stored of their primary’s vault %s, a protector and a proof behind them have their turn', async (_what, error) => {
    for (const stored of [suspected, (ms: number) => ({ provenAt: at(-10 * hour + ms) })]) {
      const { rig, own } = await behind({ provenAt: noon }, stored);
      const another = await rig.another();
      another.store.before = (access, row) => {
        if (access === 'read' && row === 'access/kv-west/') throw error;
      };
      expect(await pass(another, () => undefined)).toEqual([own.keyId]);
    }
  });

  test('a key that is the standby of one whose primary cannot be read, and the protector of another, is asked for both', async () => {
    const { rig } = await behind({ provenAt: noon }, suspected);
    const shared = aRef({ server: 'sql-shared', keyId: key('kv-north', 7), vault: 'kv-north' });
    await rig.register(registered('sql-shared', [watchedLink({ keyId: shared.keyId, vault: 'kv-north', thumbprint: thumbprint('t7') })]));
    await rig.put(anUntried(shared, suspected(-minute)));
    const another = await rig.another();
    another.store.before = (access, row) => {
      if (access === 'read' && row === 'access/kv-west/') throw new Unreadable('a row of kv-west cannot be read');
    };
    await pass(another, () => undefined);
    expect((await rig.row(shared))?.latch).toBeNull();
  });
});
