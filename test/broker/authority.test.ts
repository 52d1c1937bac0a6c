import { describe, expect, test } from 'vitest';
import { mayActFor, ownServer, seeOperable, seeServer, stateAllows } from '../../src/broker/authority.ts';
import type { Role } from '../../src/domain/caller.ts';
import { done, refuse } from '../../src/domain/refusal.ts';
import type { RegisteredServer, ServerState } from '../../src/domain/server.ts';
import { allowed, type Act } from '../../src/policy/server-state.ts';
import type { Registry } from '../../src/ports/registry.ts';
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
    expect(await seeServer({ registry }, 'sql-demo', check)).toEqual(outcome);
    expect(reads).toHaveLength(count);
  });

  test.each([
    ['the copy forbids', no],
    ['nothing is in the copy', undefined],
  ])('the store is away and %s: no refusal is made up', async (_name, copy) => {
    await expect(seeServer(registryOf(copy, 'away'), 'sql-demo', check)).rejects.toBeInstanceOf(StoreAway);
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
  const acts: readonly Act[] = ['operate', 'setProtector', 'linkAdditional', 'registerDatabase', 'revalidate', 'delete'];

  test.each(states.flatMap((state) => acts.map((act) => [state, act] as const)))('%s: %s', (state, act) => {
    const refusal = stateAllows(aRegisteredWith({ state }), act, noon);
    if (allowed[state].includes(act)) expect(refusal).toBeUndefined();
    else
      expect(refusal).toMatchObject({
        code: 'ServerInaccessible',
        detail: expect.stringMatching(new RegExp(`^server sql-demo is ${state}: .{10}`)) as string,
      });
  });

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
    const parts = { ...registryOf(registered, registered), clock: virtualClock(at(hour)) };
    return seeOperable(parts, { server: 'sql-demo', database }, aContext(caller));
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
