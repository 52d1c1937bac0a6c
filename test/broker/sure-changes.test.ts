import { expect, test } from 'vitest';
import { createSureChanges } from '../../src/broker/sure-changes.ts';
import type { LinkAccess } from '../../src/domain/access.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { second } from '../support/builders.ts';
import { aRef } from '../support/stored-values.ts';
import { settled, virtualClock } from '../support/virtual-clock.ts';

const ref = aRef();

/** Changes that are told apart by their `decide`, over a store that answers each try when told to. */
function sure() {
  const clock = virtualClock();
  const logged: unknown[] = [];
  const overlays = new Map<string, unknown>();
  const tries: { readonly decide: unknown; readonly answer: PromiseWithResolvers<LinkAccess | undefined> }[] = [];
  const change = createSureChanges({
    clock,
    log: (_level, _message, about) => void logged.push(about),
    pictures: { overlay: (id, _ref, decide) => void overlays.set(id, decide), dropOverlay: (id) => void overlays.delete(id) },
    change(_ref, decide) {
      const answer = Promise.withResolvers<LinkAccess | undefined>();
      tries.push({ decide, answer });
      return answer.promise;
    },
  });
  const fail = async (number: number): Promise<void> => {
    tries[number]!.answer.reject(new StoreAway());
    await settled();
  };
  const store = async (number: number): Promise<void> => {
    tries[number]!.answer.resolve(undefined);
    await settled();
  };
  return { clock, change, overlays, tries, fail, store, logged };
}

test('F4: a change that takes the place of one that is being stored is kept until it is stored itself', async () => {
  const { clock, change, overlays, tries, fail, store } = sure();
  const [one, two, three] = [() => null, () => null, () => null];
  for (const [number, decide] of [one, two].entries()) {
    const asked = expect(change(ref, 'unwrap', decide)).rejects.toBeInstanceOf(StoreAway);
    await fail(number);
    await asked;
  }
  await clock.advance(second);
  await fail(2);
  expect(tries[3]?.decide).toBe(two);
  const asked = expect(change(ref, 'unwrap', three)).rejects.toBeInstanceOf(StoreAway);
  await fail(4);
  await asked;
  await store(3);
  expect([...overlays.values()]).toEqual([one, three]);
  await clock.advance(second);
  await store(5);
  await store(6);
  expect(tries.slice(5).map(({ decide }) => decide)).toEqual([one, three]);
  expect(overlays.size).toBe(0);
  await clock.advance(10 * second);
  expect(tries).toHaveLength(7);
});

test('what cannot be stored is said once a link and kind, however often it is met while the store is away', async () => {
  const { change, fail, logged } = sure();
  for (const [number, kind] of ['doubt', 'doubt', 'doubt', 'wrapKey'].entries()) {
    const asked = expect(change(ref, kind, () => null)).rejects.toBeInstanceOf(StoreAway);
    await fail(number);
    await asked;
  }
  expect(logged).toEqual(['doubt', 'wrapKey'].map((kind) => ({ server: ref.server, keyId: ref.keyId, kind })));
});
