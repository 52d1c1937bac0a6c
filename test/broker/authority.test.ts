import { describe, expect, test } from 'vitest';
import { createAuthority, mayActFor, ownServer, stateAllows } from '../../src/broker/authority.ts';
import type { Role } from '../../src/domain/caller.ts';
import { done, refuse } from '../../src/domain/refusal.ts';
import type { RegisteredServer, ServerState } from '../../src/domain/server.ts';
import type { Act } from '../../src/policy/server-state.ts';
import type { Registry } from '../../src/ports/registry.ts';
import { millis } from '../../src/domain/time.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { aCaller, aContext, aRegisteredWith, at, hour, minute, noon } from '../support/builders.ts';
import { virtualClock } from '../support/virtual-clock.ts';

const clock = { firstDenialAt: noon, inaccessibleAt: at(10 * minute), healsUntil: at(8 * hour) };
const stranger = '00000000-0000-0000-0000-0000000000ff';

/** A registry with this copy, and this in the store; it counts its reads. */
function registryOf(copy: RegisteredServer | undefined, stored: RegisteredServer | undefined | 'away') {
  const reads: string[] = [];
  const registry = {
    peekServer: () => copy,
    readServer: (name: string) => {
      reads.push(name);
      return stored === 'away' ? Promise.reject(new StoreAway()) : Promise.resolve(stored);
    },
  } as unknown as Registry;
  return { registry, reads };
}

describe('section 6: the copy serves, a refusal is decided on a fresh read only', () => {
  const yes = aRegisteredWith();
  const no = aRegisteredWith({ region: 'mars' });
  const check = ({ server }: RegisteredServer) => (server.region === 'mars' ? refuse('Conflict', 'not there').refusal : undefined);

  test.each<[string, RegisteredServer | undefined, RegisteredServer | undefined | 'away', unknown, number]>([
    ['the copy allows it: nothing is read, and the store may be away', yes, 'away', done(yes), 0],
    ['the copy forbids, the store allows', no, yes, done(yes), 1],
    ['the copy forbids, and so does the store', no, no, refuse('Conflict', 'not there'), 1],
    ['not in the copy, but in the store', undefined, yes, done(yes), 1],
    ['not in the copy, and the store forbids', undefined, no, refuse('Conflict', 'not there'), 1],
    ['deleted since', no, undefined, refuse('NotFound', 'there is no server sql-demo'), 1],
    ['nowhere', undefined, undefined, refuse('NotFound', 'there is no server sql-demo'), 1],
  ])('%s', async (_name, copy, stored, ...[outcome, count]) => {
    const { registry, reads } = registryOf(copy, stored);
    const seen = createAuthority({ registry, clock: virtualClock() }).seeServer('sql-demo', check);
    // At once, where nothing is read.
    expect(seen instanceof Promise).toBe(count > 0);
    expect(await seen).toEqual(outcome);
    expect(reads).toHaveLength(count);
  });

  test.each([
    ['the copy forbids', no],
    ['nothing is in the copy', undefined],
  ])('the store is away and %s: no refusal is made up', async (_name, copy) => {
    const { registry } = registryOf(copy, 'away');
    await expect(createAuthority({ registry, clock: virtualClock() }).seeServer('sql-demo', check)).rejects.toBeInstanceOf(StoreAway);
  });
});

describe('a host that asks in a loop for what it will not get keeps one read under way', () => {
  const allowed = aRegisteredWith();

  /** A store whose reads take 10 ms and tell what was there when they began, or that it is away. */
  function rig() {
    const clock = virtualClock();
    const stored = new Map<string, RegisteredServer | 'away'>();
    const reads = { begun: 0, underWay: 0, most: 0 };
    const registry = {
      peekServer: () => undefined,
      async readServer(name: string) {
        reads.begun += 1;
        reads.underWay += 1;
        reads.most = Math.max(reads.most, reads.underWay);
        const server = stored.get(name);
        await clock.pause(millis(10));
        reads.underWay -= 1;
        if (server === 'away') throw new StoreAway();
        return server;
      },
    } as unknown as Registry;
    const { seeServer } = createAuthority({ registry, clock });
    return { clock, stored, reads, ask: async (name = 'sql-demo') => seeServer(name, () => undefined) };
  }

  test('however many ask at once: one read, and one more for those who came while it was under way', async () => {
    const { clock, reads, ask } = rig();
    const asked = [ask(), ...Array.from({ length: 100 }, () => ask())];
    await clock.advance(20);
    expect((await Promise.all(asked)).every(({ ok }) => !ok)).toBe(true);
    expect(reads).toEqual({ begun: 2, underWay: 0, most: 1 });
  });

  test('nobody is refused on a read from before his question: what was registered meanwhile is found', async () => {
    const { clock, stored, ask } = rig();
    const before = ask();
    await clock.advance(5);
    stored.set('sql-demo', allowed);
    const after = ask();
    await clock.advance(20);
    expect([(await before).ok, (await after).ok]).toEqual([false, true]);
  });

  test('nothing is remembered, and names do not wait for one another', async () => {
    const { clock, stored, reads, ask } = rig();
    for (const name of ['sql-1', 'sql-2', 'sql-1']) {
      const asked = ask(name);
      await clock.advance(10);
      expect((await asked).ok).toBe(stored.has(name));
      stored.set('sql-1', allowed);
    }
    void ask('sql-1');
    void ask('sql-2');
    expect(reads).toEqual({ begun: 5, underWay: 2, most: 2 });
    await clock.advance(10);
  });

  test('the store away: those who wait share it, and the next one asks again', async () => {
    const { clock, stored, ask } = rig();
    stored.set('sql-demo', 'away');
    const asked = [ask(), ask(), ask()].map((one) => expect(one).rejects.toBeInstanceOf(StoreAway));
    await clock.advance(10);
    await Promise.all(asked);
    stored.set('sql-demo', allowed);
    const again = ask();
    await clock.advance(10);
    expect(await again).toMatchObject({ ok: true });
  });
});

describe('section 5: who may act', () => {
  const registered = aRegisteredWith();
  test.each<[readonly Role[], 'own' | 'foreign', boolean, boolean]>([
    [['KeyBroker.Host'], 'own', true, true],
    [['KeyBroker.Host'], 'foreign', false, false],
    [['KeyBroker.Operator'], 'own', false, true],
    [['KeyBroker.Operator'], 'foreign', false, true],
    [['KeyBroker.Auditor'], 'own', false, true],
    [['KeyBroker.Auditor'], 'foreign', false, true],
    [['KeyBroker.Operator', 'KeyBroker.Auditor', 'KeyBroker.Host'], 'foreign', false, true],
    [['KeyBroker.Operator', 'KeyBroker.Host'], 'own', true, true],
    [[], 'own', false, false],
    [[], 'foreign', false, false],
  ])('%j with the %s object id: key operations %s, reading %s', (roles, whose, operates, acts) => {
    const caller = whose === 'own' ? aCaller(roles) : aCaller(roles, stranger);
    const refusal = { code: 'CallerNotAllowed', detail: 'the caller is not the principal of server sql-demo' };
    expect(ownServer(caller, registered)).toEqual(operates ? undefined : refusal);
    expect(mayActFor(caller, registered)).toEqual(acts ? undefined : refusal);
  });
});

describe('A6: what the state forbids is refused with what to do', () => {
  const states: readonly ServerState[] = ['pendingValidation', 'online', 'atRisk', 'inaccessible', 'needsRevalidation'];
  const acts: Readonly<Record<Act, readonly ServerState[]>> = {
    operate: ['online', 'atRisk'],
    setProtector: ['pendingValidation', 'online', 'atRisk'],
    linkAdditional: states,
    dropKey: ['online', 'atRisk'],
    registerDatabase: states,
    revalidate: ['pendingValidation', 'inaccessible', 'needsRevalidation'],
    delete: states,
  };
  const all = Object.entries(acts) as [Act, readonly ServerState[]][];

  test.each(states.flatMap((state) => all.map(([act, where]) => [state, act, where.includes(state)] as const)))(
    '%s: %s: %s',
    (state, act, may) => {
      const refusal = stateAllows(aRegisteredWith({ state }), act, noon);
      if (may) expect(refusal).toBeUndefined();
      else
        expect(refusal).toMatchObject({
          code: 'ServerInaccessible',
          detail: expect.stringMatching(new RegExp(`^server sql-demo is ${state}: .{10}`)) as string,
        });
    },
  );

  test.each([
    [10 * minute - 1, undefined],
    [10 * minute, 'inaccessible'],
    [8 * hour - 1, 'inaccessible'],
    [8 * hour, 'needsRevalidation'],
  ])('the clock runs on without a write: stored atRisk, %i ms after the first denial', (ms, state) => {
    const refusal = stateAllows(aRegisteredWith({ state: 'atRisk', clock }), 'operate', at(ms));
    expect(refusal?.detail).toEqual(state === undefined ? undefined : expect.stringMatching(`is ${state}: `));
  });
});

describe('who may have key operations where: authority, then state, then the database', () => {
  function see(registered: RegisteredServer, database = 'orders', caller = aCaller()) {
    const { registry } = registryOf(registered, registered);
    return createAuthority({ registry, clock: virtualClock(at(hour)) }).seeOperable({ server: 'sql-demo', database }, aContext(caller));
  }
  const inaccessible = aRegisteredWith({ state: 'inaccessible', clock });

  test('the host of the server, with the tier of its database', async () => {
    const registered = aRegisteredWith();
    expect(await see(registered)).toEqual(done({ registered, tier: 'BusinessCritical' }));
  });

  test.each([
    ['a stranger learns nothing of the state', 'CallerNotAllowed', inaccessible, 'none', aCaller(['KeyBroker.Host'], stranger)],
    ['an operator has no key operations', 'CallerNotAllowed', aRegisteredWith(), 'orders', aCaller(['KeyBroker.Operator'])],
    ['A6: an inaccessible server has none', 'ServerInaccessible', inaccessible, 'none', aCaller()],
    ['an unknown database has none', 'NotFound', aRegisteredWith(), 'none', aCaller()],
  ])('%s', async (_name, code, registered, ...[database, caller]) => {
    expect(await see(registered, database, caller)).toMatchObject({ ok: false, refusal: { code } });
  });
});
