import { describe, expect, it } from 'vitest';
import type { DeadLetter, DeliveryState } from '../../src/domain/delivery.ts';
import { instant } from '../../src/domain/time.ts';
import { firstState } from '../../src/policy/delivery.ts';
import type { Deliveries } from '../../src/ports/deliveries.ts';
import { StoreAway } from '../../src/ports/store.ts';
import { anEvent, morning } from '../support/stored-values.ts';

export interface DeliveriesRig {
  open(): Deliveries;
  setAway(away: boolean): void | Promise<void>;
}

const state: DeliveryState = firstState('address', instant(morning));

function aLetter(id: string, at: number, died = 1000): DeadLetter {
  return { event: anEvent(id, { time: instant(morning + at) }), diedAt: instant(morning + died), reason: 'answered 500' };
}

export function describeDeliveries(name: string, factory: () => Promise<DeliveriesRig>): void {
  describe(`deliveries: ${name}`, () => {
    it('a webhook has no state before one is stored, and then the newest; others have their own', async () => {
      const rig = await factory();
      const [a, b] = [rig.open(), rig.open()];
      expect(await a.read('ops')).toBeUndefined();
      const held = { event: anEvent('held'), failing: { since: instant(1), attempts: 2, nextAt: instant(3), reason: 'answered 400' } };
      const next = { ...state, held: [held], settled: [{ at: instant(morning), id: 'e1' }] };
      expect(await a.change('ops', (stored) => (stored === undefined ? next : null))).toEqual(next);
      expect(await b.read('ops')).toEqual(next);
      expect(await b.read('siem')).toBeUndefined();
    });

    it('a change that decides on nothing leaves the state and says so', async () => {
      const ports = (await factory()).open();
      await ports.change('ops', () => state);
      expect(await ports.change('ops', () => null)).toBeUndefined();
      expect(await ports.read('ops')).toEqual(state);
    });

    it('P2: of two instances that take the lease at once one gets it', async () => {
      const rig = await factory();
      await rig.open().change('ops', () => state);
      const take = (holder: string): Promise<DeliveryState | undefined> =>
        rig.open().change('ops', (stored) => (stored?.lease === null ? { ...state, lease: { holder, until: instant(morning) } } : null));
      const taken = await Promise.all(['a', 'b', 'c'].map(take));
      expect(taken.filter((one) => one !== undefined)).toHaveLength(1);
    });

    it('a state with thousands of settled events is kept whole', async () => {
      const ports = (await factory()).open();
      const settled = Array.from({ length: 3000 }, (_, n) => ({
        at: instant(morning + n),
        id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
      }));
      await ports.change('ops', () => ({ ...state, settled }));
      expect((await ports.read('ops'))?.settled).toEqual(settled);
    });

    it('dead letters are kept by the time of their event, each once, and stand beside the state', async () => {
      const rig = await factory();
      const ports = rig.open();
      await ports.change('ops', () => state);
      const letters = Array.from({ length: 150 }, (_, n) => aLetter(`e${n}`, n));
      await ports.bury('ops', letters.toReversed());
      await rig.open().bury('ops', [letters[0]!, letters[0]!]);
      expect(await ports.deadLetters('ops', 1000)).toEqual(letters);
      expect(await ports.deadLetters('ops', 2)).toEqual(letters.slice(-2));
      expect(await ports.deadLetters('siem', 10)).toEqual([]);
      expect(await ports.read('ops')).toEqual(state);
    });

    it('the last dead letters are those that were given up last, whenever their events happened', async () => {
      const ports = (await factory()).open();
      await ports.bury('ops', [aLetter('long refused', 1, 9000), aLetter('e2', 2, 3000), aLetter('e3', 3, 3000), aLetter('e4', 4, 2000)]);
      const ids = (await ports.deadLetters('ops', 3)).map(({ event }) => event.id);
      expect(ids).toEqual(['e2', 'e3', 'long refused']);
    });

    it('store away: every method rejects with StoreAway', async () => {
      const rig = await factory();
      const ports = rig.open();
      await rig.setAway(true);
      await expect(ports.read('ops')).rejects.toThrow(StoreAway);
      await expect(ports.change('ops', () => state)).rejects.toThrow(StoreAway);
      await expect(ports.bury('ops', [aLetter('e', 0)])).rejects.toThrow(StoreAway);
      await expect(ports.deadLetters('ops', 1)).rejects.toThrow(StoreAway);
    });
  });
}
